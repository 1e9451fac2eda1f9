//! The rules, each with a test for yes and a test for every no: one thing is spoilt at a time, one code is expected.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod books;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod check_in;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod contract_completion;
#[cfg(test)]
mod contract_ends;
#[cfg(test)]
mod contract_scene;
#[cfg(test)]
mod contract_states;
#[cfg(test)]
mod contract_terms;
#[cfg(test)]
mod datasets;
#[cfg(test)]
mod disputes;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod forms_of_data;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod kbs;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod levels;
#[cfg(test)]
mod log;
#[cfg(test)]
mod money_scene;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod output;
#[cfg(test)]
mod own_releases;
#[cfg(test)]
mod parties;
#[cfg(test)]
mod payment;
#[cfg(test)]
mod payment_answers;
#[cfg(test)]
mod payment_flow;
#[cfg(test)]
mod payment_periods;
#[cfg(test)]
mod payment_terms;
#[cfg(test)]
mod payouts;
#[cfg(test)]
mod people;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod release;
#[cfg(test)]
mod released;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod run_ends;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod second_gate;
#[cfg(test)]
mod sro;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod weights;
#[cfg(test)]
mod without_privacy;
