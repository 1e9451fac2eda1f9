//! Where tensors lie, and the one place where numbers become tensors: no other file names a device.
//!
//! On a CUDA card the very same functions run as in the machine's memory. What is drawn stays with the machine: rows are
//! chosen and noise is added there, from the same streams, to sums that were copied back, so that the noise of a run is
//! the same wherever its tensors lie. Weights in double precision, the optimiser's steps, checkpoints and the model's file
//! are the machine's too.
//!
//! **What differs on a card.** Kernels add in another order, so last bits differ from the machine's, and those of one
//! card need not repeat: bit for bit is promised in the machine's memory alone. Products stay in whole single precision,
//! as the margin of the clip asks ([`crate::per_sample`]): [`crate::settle`] turns the rounded ones off, and a private
//! training looks at what the card makes of a product before it begins. The margin itself was measured in the machine's
//! memory; on a card nothing has been measured yet, so that a private training goes to one only where it is named.

use schemas::worker::Device as Asked;
use schemas::{Code, R, Refusal};
use tch::{Cuda, Device, Kind, Tensor, kind::Element};

use crate::engine::T;
use crate::fault::Hush;

/// How many times as much a card works on at once as a core, whose caches are small.
const ON_CARD: i64 = 16;
/// Rows up to so many bytes lie on the card for the whole training; of more, those of a step are brought there.
const RESIDENT: usize = 1 << 30;

/// Where the tensors of a training lie.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place(Device);

/// The memory of the machine.
impl Default for Place {
    fn default() -> Place {
        Place(Device::Cpu)
    }
}

impl Place {
    /// The place that is asked for.
    ///
    /// # Errors
    /// `DEVICE_UNAVAILABLE` where a card is asked for and libtorch finds none.
    pub fn choose(asked: Asked) -> R<Place> {
        Place::among(asked, asked != Asked::Cpu && Cuda::is_available())
    }

    /// The place of a training. For a private one `auto` is the machine's memory, and a card has to multiply in whole single
    /// precision.
    ///
    /// # Errors
    /// As [`Place::choose`], and `DEVICE_UNAVAILABLE` for a card that rounds what it multiplies.
    pub fn of_training(asked: Asked, private: bool) -> R<Place> {
        let place = Place::choose(if private && asked == Asked::Auto { Asked::Cpu } else { asked })?;
        if private && place.on_card() && !place.multiplies_whole().hush()? {
            let sentence = "this card rounds numbers before it multiplies them; a private training needs them whole";
            return Err(Refusal::new(Code::DeviceUnavailable, sentence));
        }
        Ok(place)
    }

    /// Whether products and convolutions keep a number's last bits. Rounded to ten bits 1 + 2^-20 would be 1.
    fn multiplies_whole(self) -> T<bool> {
        const SIDE: i64 = 256;
        let options = (Kind::Float, self.0);
        let fine = 1.0 + 2f64.powi(-20);
        let one = Tensor::f_eye(SIDE, options)?;
        let square = Tensor::f_full([SIDE, SIDE], fine, options)?;
        let pictures = Tensor::f_full([16, SIDE, 8, 8], fine, options)?;
        let kernel = one.f_view([SIDE, SIDE, 1, 1])?.f_constant_pad_nd([1, 1, 1, 1])?;
        let off = |t: Tensor| t.f_sub_scalar(fine)?.f_abs()?.f_max()?.f_double_value(&[]);
        let products = off(square.f_matmul(&one)?)?;
        let convolutions = off(pictures.f_conv2d(&kernel, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1)?)?;
        Ok(products.max(convolutions) < 2f64.powi(-22))
    }

    /// The same by the name that a command line gives; none for a name that is none.
    pub fn named(asked: &str) -> Option<R<Place>> {
        let known = [("auto", Asked::Auto), ("cpu", Asked::Cpu), ("cuda", Asked::Cuda)];
        known.into_iter().find(|(name, _)| *name == asked).map(|(_, asked)| Place::choose(asked))
    }

    fn among(asked: Asked, card: bool) -> R<Place> {
        match (asked, card) {
            (Asked::Auto | Asked::Cuda, true) => Ok(Place(Device::Cuda(0))),
            (Asked::Auto | Asked::Cpu, _) => Ok(Place::default()),
            (Asked::Cuda, false) => {
                Err(Refusal::new(Code::DeviceUnavailable, "libtorch finds no CUDA card on this machine"))
            }
        }
    }

    /// Its name: `cpu` or `cuda`.
    pub fn name(self) -> &'static str {
        if self.on_card() { "cuda" } else { "cpu" }
    }

    fn on_card(self) -> bool {
        matches!(self.0, Device::Cuda(_))
    }

    /// Numbers as a tensor there, in one row.
    pub fn tensor<N: Element>(self, numbers: &[N]) -> T<Tensor> {
        self.bring(&Tensor::f_from_slice(numbers)?)
    }

    /// The tensor itself if it lies there, else a copy that does.
    pub fn bring(self, t: &Tensor) -> T<Tensor> {
        if t.device() == self.0 { Ok(t.shallow_clone()) } else { t.f_to_device(self.0) }
    }

    /// Whether rows of so many bytes lie there for the whole training.
    pub fn keeps(self, bytes: usize) -> bool {
        self.on_card() && bytes <= RESIDENT
    }

    /// So many rows or bytes at once as suit it, for a number that suits a core.
    pub fn at_once(self, of_a_core: i64) -> i64 {
        if self.on_card() { of_a_core.saturating_mul(ON_CARD) } else { of_a_core }
    }

    /// Waits for what is under way there, before a clock is read.
    pub fn finish(self) {
        if let Device::Cuda(card) = self.0 {
            Cuda::synchronize(i64::try_from(card).unwrap_or(0));
        }
    }
}

/// Where a tensor lies.
pub fn of(t: &Tensor) -> Place {
    Place(t.device())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use schemas::pipeline::Model;

    use super::*;
    use crate::dpsgd::{Data, Position, Settings, train};
    use crate::model::Network;
    use crate::noise::Streams;
    use crate::table::Rows;

    #[test]
    fn a_card_is_taken_where_there_is_one_and_refused_where_there_is_none() {
        let name = |asked, card| Place::among(asked, card).map(Place::name).map_err(|refusal| refusal.code);
        assert_eq!([name(Asked::Auto, true), name(Asked::Auto, false)], [Ok("cuda"), Ok("cpu")]);
        assert_eq!([name(Asked::Cpu, true), name(Asked::Cpu, false)], [Ok("cpu"), Ok("cpu")]);
        assert_eq!(name(Asked::Cuda, true), Ok("cuda"));
        assert_eq!(name(Asked::Cuda, false), Err(Code::DeviceUnavailable));
    }

    #[test]
    fn a_private_training_takes_no_card_that_it_was_not_told_to() {
        assert_eq!(Place::of_training(Asked::Auto, true).unwrap(), Place::default());
        assert_eq!(Place::of_training(Asked::Cpu, true).unwrap(), Place::default());
        assert_eq!(Place::of_training(Asked::Cuda, true).is_ok(), Cuda::is_available());
        let (auto, open) = (Place::choose(Asked::Auto), Place::of_training(Asked::Auto, false));
        assert_eq!(auto.unwrap(), open.unwrap());
    }

    /// What tells whole products from rounded ones, where they are whole.
    #[test]
    fn the_machine_multiplies_whole_numbers() {
        assert!(Place::default().multiplies_whole().unwrap());
        let rounded = Tensor::full([2], 1.0 + 2f64.powi(-20), (Kind::BFloat16, Device::Cpu));
        assert_eq!(rounded.double_value(&[0]), 1.0);
    }

    /// The noise is that of the machine; gradients differ in their last bits alone.
    #[test]
    fn a_card_gives_the_weights_of_the_machine() {
        let Ok(card) = Place::choose(Asked::Cuda) else {
            return println!("NOT RUN a_card_gives_the_weights_of_the_machine: this machine has no CUDA card");
        };
        let texts = [
            r#"{"input":{"kind":"image","channels":1,"height":12,"width":12},"layers":[
                {"op":"conv2d","channels_in":1,"channels_out":8,"kernel":3,"stride":1,"padding":1,"bias":true},
                {"op":"group_norm","groups":2,"channels":8},{"op":"relu"},{"op":"max_pool","kernel":2,"stride":2},
                {"op":"conv2d","channels_in":8,"channels_out":8,"kernel":3,"stride":2,"padding":1,"bias":true},
                {"op":"flatten"},{"op":"linear","inputs":72,"outputs":1,"bias":true}]}"#,
            r#"{"input":{"kind":"sequence","length":16,"width":9},"layers":[
                {"op":"linear","inputs":9,"outputs":16,"bias":true},
                {"op":"residual","body":[{"op":"layer_norm","width":16},
                    {"op":"attention","width":16,"heads":2,"causal":false}],"shortcut":[]},
                {"op":"lstm","inputs":16,"hidden":16},{"op":"last_token"},
                {"op":"linear","inputs":16,"outputs":1,"bias":true}]}"#,
        ];
        let (start, _) = crate::fixtures::three_tables(1);
        let settings = Settings { steps: 3, ..Settings::new(&start.plan, &start.training).unwrap() };
        let features = (0..144 * 200).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
        let rows = Rows { features, labels: (0..200).map(|i| (i % 2) as f32).collect() };
        for text in texts {
            let model = Model::Network { network: serde_json::from_str(text).unwrap() };
            let weights = |place| {
                let mut network = Network::new(&model, 144, 3).unwrap().on(place);
                let data = Data::new(&rows, 144).unwrap().on(place).unwrap();
                let (streams, begin) = (Streams::new(&[4; 32]), Position::default());
                train(&mut network, &data, &settings, &streams, begin, |_, _| Ok(())).unwrap();
                network.parameters.into_iter().flat_map(|p| p.values).collect::<Vec<f64>>()
            };
            let (machine, card) = (weights(Place::default()), weights(card));
            let apart = machine.iter().zip(&card).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max);
            println!("largest difference of a weight: {apart:.1e}");
            assert!(apart < 1e-4, "{apart:e}");
        }
    }

    /// The files of the trainer, each without its tests.
    fn sources(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
        let mut tests = Vec::new();
        let mut inner = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                inner.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let of_it = if ["lib.rs", "main.rs"].iter().any(|name| path.ends_with(name)) {
                folder.to_owned()
            } else {
                path.with_extension("")
            };
            let parts: Vec<&str> = text.split("#[cfg(test)]").collect();
            for part in &parts[1..] {
                let declared = part.trim_start().trim_start_matches("pub ").strip_prefix("mod ");
                let name = declared.and_then(|rest| rest.split_once(';')).map(|(name, _)| name);
                if let Some(name) = name.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
                    tests.push(of_it.join(name));
                }
            }
            let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            files.push((path, own));
        }
        inner.iter().for_each(|folder| sources(folder, files));
        files.retain(|(path, _)| {
            let path = path.with_extension("");
            !tests.iter().any(|test| path.starts_with(test))
        });
    }

    /// Elsewhere tensors are made of tensors, and lie where those do.
    #[test]
    fn numbers_become_tensors_in_this_file_alone() {
        let mut files = Vec::new();
        sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
        let seen = |name: &str| files.iter().any(|(path, _)| path.ends_with(name));
        assert!(seen("engine/norm.rs") && seen("model.rs") && seen("per_sample.rs"), "{files:?}");
        assert!(!seen("engine/adverse.rs") && !seen("model/tests.rs") && !seen("audit/direct.rs"));
        let words = ["Device::", "Tensor::from", "f_from_slice", "f_from_blob", "_CPU", "to_device"];
        for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("src/device.rs")) {
            for word in words {
                assert!(!text.contains(word), "{} says {word}", path.display());
            }
        }
    }
}
