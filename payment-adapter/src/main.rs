//! `payment-adapter`: from the contract service's instructions to a payment system, and back.

fn main() -> std::process::ExitCode {
    payment_adapter::cli::run()
}
