//! Is this completion the end of that run?

use policies::{Code, R, RunView, completion};
use schemas::certificate::ModelCertificate;
use schemas::contract::{Assurance, Contract, ContractRef};
use schemas::digest::Digest;
use schemas::envelope::Envelope;
use schemas::event::Completion;
use schemas::id::KeyId;
use schemas::pipeline::OutputKind;
use schemas::privacy::Plan;
use schemas::release::{KmsReceipt, KmsStatement};
use serde_json::json;

use crate::fixtures::{House, REGISTRY, again, did, digest, envelope, expect, id, jwk, plan, provider, read, real};

const OUTPUT: Digest = Digest([42; 32]);

pub fn view(house: &House) -> RunView {
    RunView {
        run_id: read(id("run", 1).into()),
        job_sha256: digest(&house.job),
        run_jwk_thumbprint: jwk(5).thumbprint(),
        image_set_id: read(id("img", 1).into()),
    }
}

/// What the key service of the nth dataset states, charging what the plan says.
pub fn receipt(house: &House, n: usize, seq: u64, statement: KmsStatement) -> KmsReceipt {
    let charges = plan().charges;
    read(
        json!({"schema": "kms-receipt.v1", "registry": REGISTRY, "kms": format!("https://kms{n}.example"), "provider": provider(n),
        "seq": seq, "prev": Digest([0; 32]), "at": "2026-12-01T10:00:00Z", "run_id": id("run", 1), "job_sha256": digest(&house.job),
        "run_jwk_thumbprint": jwk(5).thumbprint(), "enc_jwk_thumbprint": "x", "image_set_id": id("img", 1), "assurance": "hardware",
        "transcript_sha256": Digest([0; 32]), "evidence_sha256": Digest([0; 32]),
        "datasets": [{"dataset_id": id("dst", n as u32), "version": 1, "contract": house.job.contracts[0],
            "manifest_root": Digest([n as u8; 32]), "key_id": id("key", n as u32)}],
        "charges": [charges[n]], "statement": statement}),
    )
}

/// A completed run, in parts; signed and put together when it is judged.
pub struct Run {
    house: House,
    view: RunView,
    pub completion: Completion,
    pub certificate: ModelCertificate,
    pub releases: Vec<KmsReceipt>,
    pub commits: Vec<KmsReceipt>,
    /// Who signs in place of the key services.
    signer: Option<&'static str>,
    certifier: KeyId,
}

impl Run {
    fn new() -> Run {
        Run::of(House::new(), plan())
    }

    /// The run of this house's job, by its plan.
    pub fn of(house: House, plan: Plan) -> Run {
        let (job, contracts) = (digest(&house.job), house.job.contracts.clone());
        let released =
            || KmsStatement::Released { reservation_id: read(id("rsv", 1).into()), jwe_sha256: vec![Digest([1; 32])] };
        let committed = || KmsStatement::Committed { output_sha256: OUTPUT };
        let datasets: Vec<_> = (0..3)
            .map(|n| json!({"dataset_id": id("dst", n), "version": 1, "manifest_root": Digest([n as u8; 32]), "charge": plan.charges[n as usize]}))
            .collect();
        let certificate: ModelCertificate = read(
            json!({"schema": "certificate.v1", "registry": REGISTRY, "run_id": id("run", 1),
            "job_sha256": job, "contracts": contracts, "image_set_id": id("img", 1), "assurance": "hardware", "datasets": datasets,
            "plan": plan, "model_sha256": Digest([1; 32]), "model_bytes": 200,
            "metrics": {"true_positives": 1, "false_positives": 1, "true_negatives": 1, "false_negatives": 1, "accuracy_ppm": 500_000},
            "issued_at": "2026-12-01T10:10:00Z"}),
        );
        let empty: Envelope<ModelCertificate> = Envelope::new(vec![], vec![]);
        let completion: Completion =
            read(json!({"schema": "completion.v1", "registry": REGISTRY, "run_id": id("run", 1),
            "job_sha256": job, "contracts": contracts, "image_set_id": id("img", 1), "steps": 198,
            "output": {"kind": "model", "sha256": OUTPUT, "bytes": 300, "url": "https://blob.example/models/1"},
            "certificate": empty, "content_key_jwe": "a.b.c.d.e", "release_receipts": [], "commit_receipts": [],
            "at": "2026-12-01T10:10:00Z"}));
        let (view, certifier) = (view(&house), KeyId::new(id("run", 1), jwk(5).thumbprint()));
        let stated = |n: usize, seq, statement| KmsReceipt {
            charges: vec![plan.charges[n].clone()],
            ..receipt(&house, n, seq, statement)
        };
        let releases = (0..3).map(|n| stated(n, 2, released())).collect();
        let commits = (0..3).map(|n| stated(n, 3, committed())).collect();
        Run { house, view, completion, certificate, releases, commits, signer: None, certifier }
    }

    pub fn judge(&self) -> R<()> {
        let sign = |receipts: &[KmsReceipt]| {
            let kid = |r: &KmsReceipt| KeyId::new(self.signer.unwrap_or(r.provider.as_str()), jwk(1).thumbprint());
            receipts.iter().map(|r| envelope(r, kid(r))).collect()
        };
        let completion = Completion {
            certificate: envelope(&self.certificate, self.certifier.clone()),
            release_receipts: sign(&self.releases),
            commit_receipts: sign(&self.commits),
            ..self.completion.clone()
        };
        let contracts: Vec<&Contract> = self.house.contracts.iter().collect();
        completion::decide(&completion, &self.house.job, &contracts, &self.view)
    }
}

fn refused(code: Code, rows: &[fn(&mut Run)]) {
    assert_eq!(Run::new().judge(), Ok(()), "the correct run");
    for (at, spoil) in rows.iter().enumerate() {
        let mut run = Run::new();
        spoil(&mut run);
        expect(run.judge(), code, &format!("row {at}"));
    }
}

#[test]
fn a_completion_is_of_this_run() {
    refused(
        Code::CompletionMismatch,
        &[
            |r| r.completion.registry = did("did:web:other.example"),
            |r| r.completion.run_id = read(id("run", 2).into()),
            |r| r.completion.job_sha256 = Digest([0; 32]),
            |r| r.completion.image_set_id = read(id("img", 2).into()),
            |r| r.completion.contracts.clear(),
            |r| r.completion.contracts[0].sha256 = Digest([0; 32]),
            |r| r.completion.contracts.push(ContractRef { id: read(id("ctr", 2).into()), sha256: Digest([0; 32]) }),
            |r| r.completion.output.kind = "table".into(),
            |r| r.completion.output.kind = "metrics".into(),
            |r| r.completion.output.bytes = 0,
            |r| r.completion.output.url = "http://blob.example/x".into(),
            |r| r.completion.content_key_jwe.clear(),
            |r| r.completion.content_key_jwe = "x".repeat(20_000),
            |r| r.completion.steps = 197,
        ],
    );
}

#[test]
fn every_dataset_has_one_release_and_one_commit() {
    refused(
        Code::CompletionReceipts,
        &[
            |r| r.releases.clear(),
            |r| r.commits.clear(),
            |r| drop(r.releases.pop()),
            |r| drop(r.commits.remove(0)),
            |r| again(&mut r.releases),
            |r| again(&mut r.commits),
            |r| {
                // Twice the same dataset in another statement.
                let mut again = r.commits[0].clone();
                again.seq = 9;
                r.commits.push(again);
            },
            |r| r.releases[1] = r.commits[1].clone(),
            |r| r.commits[1] = r.releases[1].clone(),
            |r| r.commits[1].statement = KmsStatement::Committed { output_sha256: Digest([0; 32]) },
            |r| r.completion.output.sha256 = Digest([0; 32]),
            |r| r.releases[0].statement = KmsStatement::Refunded { aborted_sha256: Digest([0; 32]) },
            |r| {
                let KmsStatement::Released { jwe_sha256, .. } = &mut r.releases[0].statement else { return };
                jwe_sha256.clear();
            },
            |r| r.commits[0].seq = r.releases[0].seq,
        ],
    );
}

#[test]
fn receipts_are_of_this_run_and_as_contracted() {
    refused(
        Code::CompletionReceipts,
        &[
            |r| r.releases[0].registry = did("did:web:other.example"),
            |r| r.releases[0].run_id = read(id("run", 2).into()),
            |r| r.commits[2].job_sha256 = Digest([0; 32]),
            |r| r.releases[1].run_jwk_thumbprint = jwk(6).thumbprint(),
            |r| r.commits[1].image_set_id = read(id("img", 2).into()),
            |r| (r.releases[0].datasets.clear(), r.releases[0].charges.clear()).0,
            |r| r.releases[0].charges.clear(),
            |r| r.releases[0].datasets[0].dataset_id = read(id("dst", 7).into()),
            |r| r.releases[0].datasets[0].version = 2,
            |r| r.releases[0].datasets[0].manifest_root = Digest([9; 32]),
            |r| r.commits[0].datasets[0].key_id = read(id("key", 9).into()),
            |r| r.commits[0].datasets[0].contract.sha256 = Digest([9; 32]),
            |r| r.commits[0].kms = "https://kms9.example".into(),
            |r| r.commits[0].provider = did(&provider(1)),
            |r| r.commits[0].charges[0].family = read(id("fam", 9).into()),
            |r| r.signer = Some("did:web:tdp0.example"),
            |r| r.signer = Some(REGISTRY),
        ],
    );
}

#[test]
fn the_certificate_says_what_was_done_and_charged() {
    refused(
        Code::CompletionMismatch,
        &[
            |r| r.certificate.registry = did("did:web:other.example"),
            |r| r.certificate.run_id = read(id("run", 2).into()),
            |r| r.certificate.job_sha256 = Digest([0; 32]),
            |r| r.certificate.contracts.clear(),
            |r| r.certificate.image_set_id = read(id("img", 2).into()),
            |r| r.certificate.assurance = Assurance::Software,
            |r| r.certificate.plan.steps = 199,
            |r| r.certificate.output_kind = Some(OutputKind::Metrics),
            |r| r.certificate.model_bytes = 0,
            |r| r.certificate.model_bytes = (64 << 20) + 1,
            |r| r.certificate.metrics = None,
            |r| drop(r.certificate.datasets.pop()),
            |r| r.certificate.datasets.swap(0, 1),
            |r| r.certificate.datasets[0].manifest_root = Digest([9; 32]),
            |r| r.certificate.datasets[0].charge.epsilon_micro -= 1,
            |r| r.certificate.plan.charges[0].delta = real("0.00001"),
            |r| {
                r.certificate.datasets[0].charge.epsilon_micro -= 1;
                r.certificate.plan.charges[0].epsilon_micro -= 1;
            },
            |r| r.commits[0].charges[0].epsilon_micro -= 1,
            |r| {
                // The charge of another dataset at the place of the first.
                r.certificate.datasets[0].charge = r.certificate.datasets[1].charge.clone();
                r.certificate.plan.charges[0] = r.certificate.plan.charges[1].clone();
            },
            |r| r.certifier = KeyId::new(id("run", 2), jwk(5).thumbprint()),
            |r| r.certifier = KeyId::new(id("run", 1), jwk(6).thumbprint()),
        ],
    );
}

#[test]
fn one_key_service_may_serve_two_datasets() {
    let mut run = Run::new();
    for at in [0, 1] {
        let terms = &mut run.house.contracts[0].datasets[at];
        (terms.provider, terms.key.kms) = (did(&provider(0)), "https://kms0.example".into());
    }
    let merge = |receipts: &mut Vec<KmsReceipt>| {
        let second = receipts.remove(1);
        receipts[0].datasets.extend(second.datasets);
        receipts[0].charges.extend(second.charges);
        if let KmsStatement::Released { jwe_sha256, .. } = &mut receipts[0].statement {
            jwe_sha256.push(Digest([2; 32]));
        }
    };
    merge(&mut run.releases);
    merge(&mut run.commits);
    assert_eq!(run.judge(), Ok(()));
}

/// A run of three rooms: the one that signs names the two others.
#[test]
fn the_certificate_names_every_room_of_the_run() {
    let run = |rooms: Option<u32>, members: &[u8], said: usize| {
        let mut house = House::new();
        house.job.rooms = rooms;
        let mut run = Run::of(house, plan());
        let room = json!({"evidence": "snp", "measurement": "A".repeat(64)});
        run.certificate.members = members.iter().map(|byte| Digest([*byte; 32])).collect();
        run.certificate.member_rooms = vec![read(room); said];
        run.judge()
    };
    assert_eq!(run(Some(3), &[1, 2], 2), Ok(()));
    assert_eq!(run(Some(3), &[1, 2], 0), Ok(()), "of before it was said what rooms showed");
    assert_eq!(run(None, &[], 0), Ok(()));
    for (rooms, members, said) in
        [(Some(3), &[1][..], 1), (Some(3), &[], 0), (Some(3), &[1, 2, 3], 3), (Some(3), &[1, 1], 2), (None, &[1], 1)]
    {
        let refusal = run(rooms, members, said).unwrap_err();
        let named = (refusal.code, refusal.field.as_deref());
        assert_eq!(named, (Code::CompletionMismatch, Some("certificate.members")), "{rooms:?} {members:?}");
    }
    for (rooms, members, said) in [(Some(3), &[1, 2][..], 1), (Some(3), &[1, 2], 3), (None, &[], 1)] {
        let refusal = run(rooms, members, said).unwrap_err();
        let named = (refusal.code, refusal.field.as_deref());
        assert_eq!(named, (Code::CompletionMismatch, Some("certificate.member_rooms")), "{rooms:?} {said}");
    }
}
