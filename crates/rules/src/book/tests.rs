//! The book as a whole: scripted histories, and exactly what is told of each.
