//! What is taken of a JSON text and no more: an array up to a length, an object and nothing that could stand for one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is read of an object. (By itself a struct would also be read of an array of its fields.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// The first elements of an array, at most so many: a text of some megabytes can have a million.
#[derive(Debug)]
pub struct Bounded<T, const MOST: usize> {
    /// Those.
    pub found: Vec<T>,
    /// How many more there are.
    pub rest: usize,
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Array<T, MOST> {
            type Value = Bounded<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut elements = Bounded { found: Vec::new(), rest: 0 };
                while elements.found.len() < MOST {
                    match array.next_element()? {
                        Some(element) => elements.found.push(element),
                        None => return Ok(elements),
                    }
                }
                while array.next_element::<IgnoredAny>()?.is_some() {
                    elements.rest += 1;
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(Array(PhantomData))
    }
}
