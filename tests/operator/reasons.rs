//! Every reason that can be brought about: told in a condition and an event, with what to do about it, and gone when that is done.

mod cluster;
mod models;
mod unreadable;
