//! jackfield.
