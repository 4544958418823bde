//! Effects that are written down instead of carried out: the other end of every protocol test and fuzzer.
