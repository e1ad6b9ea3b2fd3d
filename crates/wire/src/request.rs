//! The bodies of requests: each is one type of this crate, which clients write and the service
//! reads, so that the two cannot drift apart.
//!
//! What a client sends is a [`Request`]; the SDK sends nothing else. The service reads each of
//! them with the strict reader of the very same type, and only then asks what it means.

use serde_json::Value;

/// The body of a request. Only types of this crate are one: those of the `requests!` lists, each
/// of which is written and read back by a test.
pub trait Request: listed::Listed {
    /// Returns the body as it travels.
    fn body(&self) -> Value;
}

pub(crate) mod listed {
    /// Kept to this crate, so that no body is made up elsewhere.
    pub trait Listed {}
}

/// Names the bodies of requests: those that lie under a key, those that are all of a body, and
/// those that lie under the key that they have as answers.
macro_rules! requests {
    (
        keyed { $($keyed:ty: $key:literal,)* }
        whole { $($whole:ty,)* }
        $(as_answers { $($known:ty,)* })?
    ) => {
        $crate::keyed::keys! {
            one { $($keyed: $key,)* }
            many {}
        }
        $(impl $crate::request::listed::Listed for $keyed {}
        impl $crate::request::Request for $keyed {
            fn body(&self) -> serde_json::Value {
                serde_json::json!($crate::keyed::Under(self))
            }
        })*
        $(impl $crate::request::listed::Listed for $whole {}
        impl $crate::request::Request for $whole {
            fn body(&self) -> serde_json::Value {
                serde_json::json!(self)
            }
        })*

        $($(impl $crate::request::listed::Listed for $known {}
        impl $crate::request::Request for $known {
            fn body(&self) -> serde_json::Value {
                serde_json::json!($crate::keyed::Under(self))
            }
        })*)?

        #[cfg(test)]
        mod round_trips {
            #[allow(unused_imports, reason = "the types of the list are named as outside")]
            use super::*;

            #[test]
            fn what_is_written_is_read_back() {
                $($crate::request::samples::written_and_read::<$keyed>();)*
                $($crate::request::samples::written_and_read::<$whole>();)*
                $($($crate::request::samples::written_and_read::<$known>();)*)?
            }
        }
    };
}
pub(crate) use requests;

#[cfg(test)]
pub(crate) mod samples {
    use std::fmt::Debug;

    use super::Request;

    /// Bodies to be written and read back; each listed type has some, or the tests do not build.
    pub(crate) trait Sampled: Request + Debug + PartialEq + Sized {
        /// What clients may send: the least, and everything that the service knows.
        fn samples() -> Vec<Self>;

        /// Reads with the service's own reader.
        fn read_back(body: &[u8]) -> Result<Self, String>;
    }

    pub(crate) fn written_and_read<T: Sampled>() {
        let samples = T::samples();
        assert!(!samples.is_empty(), "{}", std::any::type_name::<T>());
        for sample in samples {
            let body = sample.body().to_string();
            let read = T::read_back(body.as_bytes());
            assert_eq!(read.as_ref(), Ok(&sample), "{body}");
        }
    }
}
