//! `kms-adapter`: one training data provider's key service.

fn main() -> std::process::ExitCode {
    kms_adapter::cli::run()
}
