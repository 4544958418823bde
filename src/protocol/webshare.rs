//! WebShare.
