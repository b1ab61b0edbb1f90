//! Takes over the rows of a database that the reference's ORM made.
