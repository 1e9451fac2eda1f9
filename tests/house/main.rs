//! Rehearsals of the whole house: the walk, what it refuses, and who may depend on whom.

mod walk;
