//! The worker protocol of `schemas::worker` from the worker's side: one job, then the end.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use collective::network::Interface;
use schemas::pipeline::Model;
use schemas::trees::Trees;
use schemas::worker::{MAX_MESSAGE, MAX_TABLE, Outcome, Report, Start};
use schemas::{Digest, R, Refusal};
use zeroize::Zeroizing;

use crate::device::Place;
use crate::dpsgd::{Data, Position, Settings, Trained, train, train_by};
use crate::fault::{internal, protocol};
use crate::metrics::Scored;
use crate::model::Network;
use crate::noise::Streams;
use crate::together::{Tunnel, interface, stretch};
use crate::{artifact, checkpoint, confine, limits, metrics, plain, settle, table, trees};

/// At most this many progress reports per job.
const MAX_PROGRESS: u32 = 100;

/// Serves one job; true if a model was delivered. Whatever goes wrong becomes one `Failed` report with a fixed code.
pub fn serve(input: &mut impl Read, output: &mut impl Write) -> bool {
    let served =
        catch_unwind(AssertUnwindSafe(|| work(input, output))).unwrap_or_else(|_| Err(internal("internal fault")));
    match served {
        Ok(()) => true,
        Err(refusal) => {
            refuse(output, refusal);
            false
        }
    }
}

/// Ends a job with the one report of a failure.
pub fn refuse(output: &mut impl Write, refusal: Refusal) {
    let failed = Report::Failed { code: refusal.code.to_string(), sentence: refusal.sentence };
    let _ = report(output, &failed); // `ccr` may be gone; then nobody is left to tell
}

/// The story of a job, from first frame to last.
fn work(input: &mut impl Read, output: &mut impl Write) -> R<()> {
    let start = read_start(input)?;
    limits::check(&start)?;
    // Capabilities are each thread's own: given up before any data is read, and before there is a second thread, which
    // the settling of threads begins.
    let interface = start.group.as_ref().map(interface).transpose()?;
    confine::powerless()?;
    if confine::is_shut() {
        settle::threads(settle::THREADS);
    }
    let place = Place::of_training(start.device, start.training.private)?;
    let parts = read_parts(input, &start)?;
    let configuration = start.configuration()?;
    let streams = Streams::of_run(&start.seed.0.0, configuration);
    let done = match &start.training.model {
        Model::Trees { trees } => forest(output, &start, trees, &parts, &streams)?,
        _ => network(input, output, &start, (place, interface), &parts, &streams)?,
    };
    let outcome = Outcome {
        kind: "model".into(),
        bytes: done.model.len() as u64,
        sha256: Digest::of(&done.model),
        steps: start.plan.steps,
        noise_draws: done.trained.noise_draws,
        configuration,
        noise: done.trained.noise,
        metrics: metrics::measure(&done.scored, &start.plan, &streams)?,
    };
    report(output, &Report::Done(outcome))?;
    frame(output, &done.model)
}

/// What a training leaves behind.
struct Done {
    trained: Trained,
    model: Vec<u8>,
    /// The held-out part under the model as it leaves.
    scored: Scored,
}

fn network(
    input: &mut impl Read,
    output: &mut impl Write,
    start: &Start,
    (place, interface): (Place, Option<Interface>),
    parts: &table::Parts,
    streams: &Streams,
) -> R<Done> {
    let (features, configuration) = (start.training.inputs(), &start.configuration()?);
    let (model, recipe) = (&start.training.model, start.training.recipe.as_ref());
    let mut network = Network::with(model, recipe, features, start.training.init_seed)?.on(place);
    if let Some(weights) = &start.training.weights {
        network.begin_with(weights, &Zeroizing::new(read_frame(input, schemas::weights::MAX_BYTES as usize)?))?;
    }
    let begin = read_checkpoint(input, start, configuration, &mut network)?;
    // From `Ready` on a step counts as run: what the machine may not give is asked for before.
    let tunnel =
        start.group.as_ref().zip(interface).map(|(told, interface)| Tunnel::open(told, interface)).transpose()?;
    report(output, &Report::Ready {})?;
    let settings = Settings::new(&start.plan, &start.training)?;
    let own = start.group.as_ref().map(|group| stretch(&parts.train, features, group)).transpose()?;
    let data = Data::new(own.as_ref().unwrap_or(&parts.train), features)?.on(place)?;
    let group = tunnel.map(|tunnel| tunnel.enter(&data)).transpose()?;
    let after = |network: &Network, at: Position| {
        progress(output, at.step, start.plan.steps)?;
        keep(output, network, at, start, configuration)
    };
    let trained = if start.plan.without_differential_privacy {
        plain::train(&mut network, &data, &settings, streams, begin, after)?
    } else if let Some(group) = group {
        let trained = train_by(&group.acts, &mut network, &data, &settings, streams, begin, after)?;
        group.finish()?;
        trained
    } else {
        train(&mut network, &data, &settings, streams, begin, after)?
    };
    network.round();
    let scored = match &start.plan.metrics_noise_multiplier {
        Some(_) => Scored::by_network(&network, &Data::new(&parts.held_out, features)?.on(place)?)?,
        None => Scored::default(),
    };
    Ok(Done { trained, model: artifact::safetensors(&network)?, scored })
}

/// Trees grow in moments, so they keep no checkpoint: a worker that died begins again and grows the same.
fn forest(output: &mut impl Write, start: &Start, asked: &Trees, parts: &table::Parts, streams: &Streams) -> R<Done> {
    if start.resume.is_some() {
        return Err(protocol("trees keep no checkpoint"));
    }
    report(output, &Report::Ready {})?;
    let (settings, width) = (trees::Settings::new(asked, &start.plan, &start.training)?, start.training.features.len());
    let after = |step| progress(output, step, start.plan.steps);
    let (forest, trained) = trees::grow(&parts.train.features, &parts.train.labels, width, &settings, streams, after)?;
    let logits = forest.logits(&parts.held_out.features, width);
    let scored = Scored { logits, labels: parts.held_out.labels.clone() };
    Ok(Done { trained, model: trees::artifact::safetensors(&forest)?, scored })
}

fn read_start(input: &mut impl Read) -> R<Start> {
    let bytes = Zeroizing::new(read_frame(input, MAX_MESSAGE)?); // it holds the seed
    serde_json::from_slice(&bytes).map_err(|_| protocol("the first frame is no start message"))
}

fn read_parts(input: &mut impl Read, start: &Start) -> R<table::Parts> {
    let mut tables = Vec::new();
    for head in &start.tables {
        let bytes = Zeroizing::new(read_frame(input, MAX_TABLE)?);
        if bytes.len() as u64 != head.bytes {
            return Err(protocol("a table has another size than announced"));
        }
        tables.push(table::read_needed(start, head, bytes)?);
    }
    table::prepare(start, tables)
}

/// Where to begin: at a checkpoint where there is one, else before the first step.
fn read_checkpoint(input: &mut impl Read, start: &Start, configuration: &Digest, network: &mut Network) -> R<Position> {
    let Some(resume) = &start.resume else { return Ok(Position::default()) };
    let bytes = Zeroizing::new(read_frame(input, MAX_TABLE)?);
    if bytes.len() as u64 != resume.bytes {
        return Err(protocol("a checkpoint has another size than announced"));
    }
    checkpoint::read(&bytes, resume.step, configuration, network)
}

/// Hands `ccr` the state after fixed numbers of steps, but not after the last.
fn keep(output: &mut impl Write, network: &Network, at: Position, start: &Start, configuration: &Digest) -> R<()> {
    let due = start.checkpoint_every.is_some_and(|every| at.step.is_multiple_of(every));
    if !due || at.step == start.plan.steps {
        return Ok(());
    }
    let bytes = Zeroizing::new(checkpoint::write(network, at, configuration)?);
    report(output, &Report::Checkpoint { step: at.step, bytes: bytes.len() as u64 })?;
    frame(output, &bytes)
}

/// Tells of steps at fixed, evenly spaced numbers, and of the last.
fn progress(output: &mut impl Write, step: u32, steps: u32) -> R<()> {
    let every = steps.div_ceil(MAX_PROGRESS);
    if step.is_multiple_of(every) || step == steps { report(output, &Report::Progress { step, steps }) } else { Ok(()) }
}

fn report(output: &mut impl Write, report: &Report) -> R<()> {
    let bytes = serde_json::to_vec(report).map_err(|_| internal("a report could not be written"))?;
    frame(output, &bytes)
}

fn frame(output: &mut impl Write, bytes: &[u8]) -> R<()> {
    let gone = |_| internal("the pipe is closed");
    let length = u32::try_from(bytes.len()).map_err(|_| internal("a frame is too large"))?;
    output.write_all(&length.to_be_bytes()).map_err(gone)?;
    output.write_all(bytes).map_err(gone)?;
    output.flush().map_err(gone)
}

fn read_frame(input: &mut impl Read, most: usize) -> R<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(|_| protocol("the pipe ended before a frame"))?;
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        return Err(protocol("a frame is too large"));
    }
    let mut bytes = Vec::new();
    let read = input.take(length as u64).read_to_end(&mut bytes);
    match read {
        Ok(read) if read == length => Ok(bytes),
        _ => Err(protocol("the pipe ended inside a frame")),
    }
}

#[cfg(test)]
mod tests {
    use schemas::text::{Bytes, Real};
    use schemas::worker::{Device, Resume, SeedBytes};

    use super::*;
    use crate::fixtures::{self, Served};

    #[test]
    fn a_job_is_served_from_first_frame_to_last() {
        let (start, files) = fixtures::three_tables(300);
        let Served { reports, model } = fixtures::serve(&start, &files);
        assert_eq!(reports[0], Report::Ready {});
        let told: Vec<u32> = reports[1..reports.len() - 1]
            .iter()
            .map(|r| match r {
                Report::Progress { step, steps: 30 } => *step,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, (1..=30).collect::<Vec<u32>>());
        let Some(Report::Done(outcome)) = reports.last() else { panic!("{reports:?}") };
        let model = model.unwrap();
        assert_eq!((outcome.kind.as_str(), outcome.steps, outcome.noise_draws), ("model", 30, 30));
        assert_eq!((outcome.bytes, outcome.sha256), (model.len() as u64, Digest::of(&model)));
        assert!(outcome.metrics.as_ref().unwrap().accuracy_ppm <= 1_000_000);
    }

    #[test]
    fn a_card_that_is_not_there_is_refused_before_any_table_is_read() {
        if Place::choose(Device::Cuda).is_ok() {
            return println!("NOT RUN a_card_that_is_not_there_is_refused_before_any_table_is_read: there is one");
        }
        let (mut start, files) = fixtures::three_tables(30);
        let cpu = fixtures::serve(&start, &files);
        start.device = Device::Auto;
        assert_eq!(fixtures::serve(&start, &files), cpu, "without a card it is the machine's memory");
        start.device = Device::Cuda;
        for files in [&files[..], &[]] {
            let Served { reports, model } = fixtures::serve(&start, files);
            let [Report::Failed { code, .. }] = &reports[..] else { panic!("{reports:?}") };
            assert_eq!((code.as_str(), model), ("DEVICE_UNAVAILABLE", None));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        for model in [Model::LogisticRegression, Model::Mlp { hidden: vec![8, 4] }] {
            let (mut start, files) = fixtures::three_tables(300);
            start.training.model = model;
            let first = fixtures::serve(&start, &files);
            assert_eq!(first, fixtures::serve(&start, &files));
            start.seed = SeedBytes(Bytes(vec![9; 32]));
            assert_ne!(first.model, fixtures::serve(&start, &files).model);
        }
    }

    #[test]
    fn what_is_said_does_not_depend_on_the_data_but_for_model_and_metrics() {
        let (start, files) = fixtures::three_tables(300);
        let said = |files: &[String]| {
            let mut start = start.clone();
            start.tables.iter_mut().zip(files).for_each(|(head, file)| head.bytes = file.len() as u64);
            let mut reports = fixtures::serve(&start, files).reports;
            if let Some(Report::Done(outcome)) = reports.last_mut() {
                (outcome.sha256, outcome.metrics) = (Digest([0; 32]), None);
            }
            reports
        };
        let empty: Vec<String> = files.iter().map(|f| f.lines().next().unwrap().to_owned() + "\n").collect();
        let spoilt: Vec<String> = files.iter().map(|f| f.replace("0.", "nan")).collect();
        assert_eq!(said(&files), said(&empty));
        assert_eq!(said(&files), said(&spoilt));
    }

    /// Noise alone, since there is no row: another configuration gives other noise, even where it changes no figure of
    /// the training, and the same configuration the same.
    #[test]
    fn noise_is_bound_to_the_whole_configuration() {
        let (start, files) = fixtures::three_tables(0);
        let model = |start: &Start| fixtures::serve(start, &files).model.unwrap();
        let first = model(&start);
        assert_eq!(first, model(&start));
        let spoils: [fn(&mut Start); 6] = [
            |s| s.training.positive = "yes".into(),
            |s| s.training.delta = Some(Real::parse("0.00004").unwrap()),
            |s| s.training.split_salt = Bytes(vec![2; 32]),
            |s| (s.join.name, s.training.input) = ("other".into(), "other".into()),
            |s| s.plan.metrics_noise_multiplier = Some(Real::parse("11").unwrap()),
            |s| s.training.name = "other".into(),
        ];
        let mut seen = vec![first];
        for (at, spoil) in spoils.into_iter().enumerate() {
            let mut other = start.clone();
            spoil(&mut other);
            let model = model(&other);
            assert!(!seen.contains(&model), "spoil {at}");
            seen.push(model);
        }
    }

    /// Every byte that leaves the worker but the model and the noised metrics: the same for neighbours, whatever the
    /// row, and for tables that share nothing.
    #[test]
    fn neighbours_differ_in_the_model_and_the_noised_metrics_alone() {
        let (mut start, files) = fixtures::three_tables(300);
        start.checkpoint_every = Some(7);
        start.training.train_ppm = 1_000_000; // else the row might be held out, and the model be the same
        let without = |line: &str, file: &String| file.replace(line, "");
        let row = files[0].lines().nth(40).unwrap().to_owned() + "\n";
        let (principal, _) = row.split_once(',').unwrap();
        let mut one_less = files.clone();
        one_less[0] = without(&row, &files[0]);
        let with = |cells: &str| {
            let mut files = files.clone();
            files[0] = files[0].replace(&row, &format!("{principal},{cells}\n"));
            files
        };
        let long = format!("1,{}", "9".repeat(100_000));
        let neighbours = [one_less, with("1,1e30"), with("nan,nan"), with("1,-1e38"), with(&long), with(",")];
        let (whole, model) = fixtures::spoken(&start, &files);
        assert!(whole.len() > 4 + 30 + 4, "reports and checkpoints are told of");
        for (at, files) in neighbours.iter().enumerate() {
            let mut start = start.clone();
            start.tables.iter_mut().zip(files).for_each(|(head, file)| head.bytes = file.len() as u64);
            let (said, other) = fixtures::spoken(&start, files);
            assert_eq!(said, whole, "neighbour {at}");
            assert_ne!(other, model, "neighbour {at} changes the model");
        }
    }

    #[test]
    fn a_worker_that_died_is_followed_by_one_that_gives_the_same_model() {
        let (mut start, files) = fixtures::three_tables(300);
        start.training.model = Model::Mlp { hidden: vec![8] };
        let whole = fixtures::serve(&start, &files).model.unwrap();
        start.checkpoint_every = Some(4);
        let frames = fixtures::raw(&start, &files, None);
        let mut checkpoints = Vec::new();
        for (report, state) in frames.iter().zip(&frames[1..]) {
            if let Ok(Report::Checkpoint { step, bytes }) = serde_json::from_slice(report) {
                assert_eq!(bytes, state.len() as u64);
                checkpoints.push((step, state.clone()));
            }
        }
        let steps: Vec<u32> = checkpoints.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [4, 8, 12, 16, 20, 24, 28]);
        for (step, state) in &checkpoints {
            let mut start = start.clone();
            start.resume = Some(Resume { step: *step, bytes: state.len() as u64 });
            let frames = fixtures::raw(&start, &files, Some(state));
            assert_eq!(frames.last().unwrap(), &whole, "from step {step}");
            // The checkpoint of one configuration is none of another.
            start.training.learning_rate = Real::parse("0.4").unwrap();
            let frames = fixtures::raw(&start, &files, Some(state));
            assert!(
                matches!(serde_json::from_slice(&frames[0]).unwrap(), Report::Failed { code, .. } if code == "WORKER_PROTOCOL")
            );
        }
    }

    #[test]
    fn progress_stays_below_a_hundred_reports() {
        for steps in [1, 99, 100, 101, 150, 198, 199, 10_001, 1_000_000] {
            let mut output = Vec::new();
            (1..=steps).for_each(|step| progress(&mut output, step, steps).unwrap());
            let reports = fixtures::frames(&output).len();
            assert!((1..=100).contains(&reports), "{reports} reports for {steps} steps");
        }
    }

    #[test]
    fn broken_jobs_fail_with_a_fixed_code() {
        type Spoil = fn(&mut Start, &mut Vec<String>);
        let cases: [(&str, Spoil); 18] = [
            ("WORKER_PROTOCOL", |s, _| s.v = 2),
            ("WORKER_PROTOCOL", |s, _| s.seed = SeedBytes(Bytes(vec![1; 31]))),
            ("WORKER_PROTOCOL", |s, _| s.tables[0].bytes += 1),
            ("WORKER_PROTOCOL", |s, _| s.plan.steps += 1),
            ("WORKER_PROTOCOL", |s, _| s.checkpoint_every = Some(0)),
            ("WORKER_PROTOCOL", |s, _| s.resume = Some(Resume { step: 31, bytes: 1 })),
            ("WORKER_PROTOCOL", |s, _| s.resume = Some(Resume { step: 3, bytes: 1 })), // and none follows
            ("WORKER_PROTOCOL", |s, _| s.plan.noise_multiplier = Real::parse("0").unwrap()),
            ("WORKER_PROTOCOL", |s, _| s.plan.metrics_noise_multiplier = None),
            ("WORKER_PROTOCOL", |s, _| s.plan.most_expected_batch = Some(Real::parse("47").unwrap())),
            ("WORKER_PROTOCOL", |_, f| f.truncate(2)),
            ("PIPELINE_NOT_PRIVATE", |s, _| s.training.private = false),
            ("PIPELINE_INVALID", |s, _| s.training.input = "other".into()),
            ("PIPELINE_INVALID", |s, _| s.training.features[0].upper = Real::parse("0").unwrap()),
            ("PIPELINE_INVALID", |s, _| s.training.split_salt = Bytes(vec![])),
            ("LIMIT_EXCEEDED", |s, _| s.training.model = Model::Mlp { hidden: vec![513] }),
            ("LIMIT_EXCEEDED", |s, _| (s.plan.steps, s.training.steps) = (1_000_001, 1_000_001)),
            ("TABLE_FORM", |s, _| s.tables[1].columns.push("nowhere".into())),
        ];
        for (place, (code, spoil)) in cases.into_iter().enumerate() {
            let (mut start, mut files) = fixtures::three_tables(20);
            spoil(&mut start, &mut files);
            let served = fixtures::serve(&start, &files);
            let [Report::Failed { code: told, .. }] = &served.reports[..] else { panic!("{place}: {served:?}") };
            assert_eq!((told.as_str(), &served.model), (code, &None), "case {place}");
        }
    }

    /// Each table keeps its own contract's public count, or the worker says so with one code and nothing else: not `Ready`,
    /// from which on a charge stands, and neither by how many nor whose.
    #[test]
    fn a_table_with_more_people_than_its_own_public_count_is_refused_before_ready() {
        let (mut start, files) = fixtures::three_tables(60);
        start.tables.iter_mut().for_each(|table| table.public_rows = 60);
        let kept = fixtures::serve(&start, &files);
        assert!(kept.model.is_some());
        // The count is no part of what noise and sampling are bound to.
        start.tables[0].public_rows = 61;
        assert_eq!(fixtures::serve(&start, &files), kept);
        for spoilt in 0..3 {
            let mut start = start.clone();
            start.tables.iter_mut().for_each(|table| table.public_rows = 60);
            for count in [59, 1, 0] {
                start.tables[spoilt].public_rows = count;
                let Served { reports, model } = fixtures::serve(&start, &files);
                let [Report::Failed { code, sentence }] = &reports[..] else { panic!("{reports:?}") };
                let named = ["t", "u", "v"][spoilt];
                let words = format!("table {named} has more people than the public count of its own offer");
                assert_eq!((code.as_str(), sentence.as_str(), model), ("PUBLIC_COUNT_EXCEEDED", words.as_str(), None));
            }
        }
    }

    /// This process never shut its doors: it stands in the network of the machine, where a group meets for nobody.
    #[test]
    fn a_group_without_a_network_of_its_own_is_refused_before_ready() {
        let (mut start, files) = fixtures::three_tables(20);
        start.group = Some(schemas::worker::Group { rank: 0, size: 2, seconds: 1 });
        let served = fixtures::serve(&start, &files);
        let [Report::Failed { code, sentence }] = &served.reports[..] else { panic!("{served:?}") };
        assert_eq!((code.as_str(), sentence.as_str()), ("WORKER_FAILED", "the worker has no network of its own"));
    }

    #[test]
    fn noise_on_the_pipe_fails_too() {
        for input in [&b""[..], b"\0\0\0\x02{}", b"\xff\xff\xff\xff", b"\0\0\0\x09{\"v\"", b"\0\0\0\x04null"] {
            let mut output = Vec::new();
            assert!(!serve(&mut &input[..], &mut output));
            let report = serde_json::from_slice(&fixtures::frames(&output)[0]).unwrap();
            assert!(matches!(report, Report::Failed { code, .. } if code == "WORKER_PROTOCOL"));
        }
    }
}
