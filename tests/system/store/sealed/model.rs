//! Random schedules against a plain model.
