//! The gradient sums of a step's rows, by shares and physical chunks.
//!
//! Where there is enough to do, each thread has a share of the rows and does all of it alone: threads that meet behind
//! every operation of the tensor library wait for each other more than they work. Shares are cut by the number of rows and
//! public figures, and added in their order, so that the sums are the same in every run.

use std::thread;

use schemas::R;
use tch::Tensor;

use crate::dpsgd::Data;
use crate::fault::internal;
use crate::model::{Leaves, Network};

/// Stack of a thread: as much as the first one of a process has.
const STACK: usize = 8 << 20;

/// What `add` adds to the sums, one vector per learnt parameter, for each physical chunk of the rows.
pub fn sums(
    network: &Network,
    data: &Data,
    rows: &[i64],
    add: impl Fn(&Leaves, &Tensor, &Tensor, &mut [Vec<f64>]) -> R<()> + Sync,
) -> R<Vec<Vec<f64>>> {
    let threads = tch::get_num_threads();
    let mut shares = network.shares(rows, usize::try_from(threads).unwrap_or(1));
    let own = shares.next().unwrap_or_default();
    if shares.len() == 0 {
        if threads > 1 && network.is_for_one_thread(rows.len()) {
            tch::set_num_threads(1);
            let sums = of_share(network, data, own, &add);
            tch::set_num_threads(threads);
            return sums;
        }
        return of_share(network, data, own, &add);
    }
    let gone = || internal("a thread ended");
    thread::scope(|scope| {
        let mut others = Vec::new();
        for share in shares {
            let (data, add) = (data.again(), &add);
            let work = move || {
                // Read first: a thread takes over the process's number when it first asks for its own, and what was set
                // before would be lost.
                let _ = tch::get_num_threads();
                tch::set_num_threads(1);
                of_share(network, &data, share, add)
            };
            others.push(thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).map_err(|_| gone())?);
        }
        tch::set_num_threads(1);
        let sums = of_share(network, data, own, &add);
        tch::set_num_threads(threads);
        let mut sums = sums?;
        for other in others {
            let more = other.join().map_err(|_| gone())??;
            sums.iter_mut().flatten().zip(more.into_iter().flatten()).for_each(|(sum, more)| *sum += more);
        }
        Ok(sums)
    })
}

fn of_share(
    network: &Network,
    data: &Data,
    rows: &[i64],
    add: &impl Fn(&Leaves, &Tensor, &Tensor, &mut [Vec<f64>]) -> R<()>,
) -> R<Vec<Vec<f64>>> {
    let leaves = network.leaves()?;
    let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
    for chunk in network.chunks(rows) {
        let (x, y) = data.chunk(chunk)?;
        add(&leaves, &x, &y, &mut sums)?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use schemas::pipeline::Model;

    use super::*;
    use crate::engine::Adding;
    use crate::per_sample::{Clipping, add_clipped};
    use crate::table::Rows;

    #[test]
    fn shares_come_to_the_sums_of_one_thread_and_to_the_same_bits_every_time() {
        let text = r#"{"input":{"kind":"vector","features":4},"layers":[
            {"op":"linear","inputs":4,"outputs":8192,"bias":true},{"op":"tanh"},
            {"op":"linear","inputs":8192,"outputs":1,"bias":true}]}"#;
        let model = Model::Network { network: serde_json::from_str(text).unwrap() };
        let network = Network::new(&model, 4, 3).unwrap();
        let features = (0..1_200).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
        let data = Data::new(&Rows { features, labels: (0..300).map(|i| (i % 2) as f32).collect() }, 4).unwrap();
        let rows: Vec<i64> = (0..299).collect();
        let lengths = |threads| network.shares(&rows, threads).map(<[i64]>::len).collect::<Vec<_>>();
        assert_eq!((lengths(1), lengths(2), network.shares(&rows[..2], 2).len()), (vec![299], vec![150, 149], 1));
        let of = |threads| {
            tch::set_num_threads(threads);
            let sums = sums(&network, &data, &rows, |leaves, x, y, sums| {
                let clipping = Clipping { bound: 0.1, adding: Adding::of(rows.len(), 1) };
                add_clipped(leaves, x, y, clipping, sums)
            });
            assert_eq!(tch::get_num_threads(), threads);
            sums.unwrap().concat()
        };
        let (one, two) = (of(1), of(2));
        assert_eq!(two, of(2));
        let length = |of: &[f64]| of.iter().map(|v| v * v).sum::<f64>().sqrt();
        let apart: Vec<f64> = one.iter().zip(&two).map(|(a, b)| a - b).collect();
        assert!(length(&one) > 1e-3 && length(&apart) < 1e-6, "{:e} of {:e}", length(&apart), length(&one));
        // What fails in one share fails as a whole, and leaves the threads as they were.
        tch::set_num_threads(2);
        let failed = sums(&network, &data, &rows, |_, x, _, _| match x.size().first() {
            Some(150) => Ok(()),
            _ => Err(internal("this share")),
        });
        assert_eq!((failed.unwrap_err().sentence.as_str(), tch::get_num_threads()), ("this share", 2));
    }
}
