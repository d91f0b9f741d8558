use super::Job;
pub const JOBS: &[Job] = &[];
