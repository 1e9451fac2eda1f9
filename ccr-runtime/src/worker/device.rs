//! Whether a room has the card that it shall train on: asked before it begins anything.

use std::process::{Command, Stdio};

use schemas::worker::Device;
use schemas::{Code, R, Refusal};

use crate::config::Config;

/// Refuses (`DEVICE_UNAVAILABLE`) a room that shall train on a card, and whose worker finds none. The worker itself is
/// asked, since it is what would use it; it asks nobody again and refuses too.
pub fn check(config: &Config) -> R<()> {
    if config.device() != Device::Cuda {
        return Ok(());
    }
    let mut worker = Command::new(&config.trainer);
    worker.args(["--device", "cuda"]).env_clear().current_dir("/");
    let asked = worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if asked.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let sentence = "the worker finds no CUDA card; `device` may say auto or cpu";
    Err(Refusal::new(Code::DeviceUnavailable, sentence).at("device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_shall_train_on_a_card_is_refused_without_one() {
        let config = |profile: &str, device: &str, trainer: &str| -> Config {
            let text = format!(
                "profile = \"{profile}\"\ncontract_service = \"http://localhost:1\"\ntrust = \"trust.json\"\n\
                 trainer = \"{trainer}\"\nevidence = \"software\"\ndevice = \"{device}\""
            );
            toml::from_str(&text).unwrap()
        };
        // A worker that finds a card ends well, one that finds none does not, and one that is not there neither.
        check(&config("demo", "cuda", "true")).unwrap();
        for trainer in ["false", "/nowhere"] {
            let refused = check(&config("demo", "cuda", trainer)).unwrap_err();
            assert_eq!((refused.code, refused.field.as_deref()), (Code::DeviceUnavailable, Some("device")));
            check(&config("demo", "auto", trainer)).unwrap();
            check(&config("demo", "cpu", trainer)).unwrap();
        }
        // What production trains on is settled, whatever stands there.
        assert_eq!(config("production", "auto", "true").device(), Device::Cpu);
        assert_eq!(config("demo", "auto", "true").device(), Device::Auto);
    }
}
