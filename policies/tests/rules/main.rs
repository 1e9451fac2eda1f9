//! The rules, each with a test for yes and a test for every no: one thing is spoilt at a time, one code is expected.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod gate;
mod log;
#[cfg(test)]
mod output;
#[cfg(test)]
mod payment;
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
mod rows;
