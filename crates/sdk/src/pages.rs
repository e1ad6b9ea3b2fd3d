//! Lists that are longer than one answer.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use emberkeep_wire::keyed::{COUNT, Many};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connection::{Call, Connection, Face, unwrap_key};
use crate::error::SdkError;

/// How a service is asked for the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turning {
    /// By how many have been seen (`cbr-v3.md §2.2`).
    Offset,
    /// By the last one seen; a page that is not full is the last.
    Marker,
    /// By the last one seen, if a `*_links` says that there is more (`cinder-backup.md §2.4`).
    Links,
    /// Not at all: everything comes at once.
    Never,
}

/// A list that is fetched page by page, as far as it is read.
///
/// Nothing is asked for until [`stream`](Self::stream), [`all`](Self::all) or
/// [`first`](Self::first) is.
pub struct Pages<T> {
    connection: Connection,
    face: Face,
    call: Call,
    turning: Turning,
    page_size: Option<usize>,
    marker: Option<String>,
    offset: usize,
    at_most: usize,
    items: PhantomData<fn() -> T>,
}

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            call: self.call.clone(),
            marker: self.marker.clone(),
            items: PhantomData,
            ..*self
        }
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("asks", &self.call.asked())
            .field("page_size", &self.page_size)
            .finish_non_exhaustive()
    }
}

impl<T: Many + DeserializeOwned + Send + 'static> Pages<T> {
    pub(crate) fn new(connection: &Connection, face: Face, turning: Turning, call: Call) -> Self {
        Self {
            connection: connection.clone(),
            face,
            call,
            turning,
            page_size: None,
            marker: None,
            offset: 0,
            at_most: usize::MAX,
            items: PhantomData,
        }
    }

    /// Asks for so many at once; services have limits of their own, mostly 1000.
    #[must_use]
    pub fn page_size(mut self, items: usize) -> Self {
        self.page_size = Some(items.max(1));
        self
    }

    /// Begins after the item with this id.
    #[must_use]
    pub fn after(mut self, id: &str) -> Self {
        self.marker = Some(id.to_owned());
        if self.turning == Turning::Offset {
            self.turning = Turning::Marker;
        }
        self
    }

    /// Begins after so many items.
    #[must_use]
    pub fn skip(mut self, items: usize) -> Self {
        self.offset = items;
        self
    }

    /// Ends after so many items.
    #[must_use]
    pub fn at_most(mut self, items: usize) -> Self {
        self.at_most = items;
        self
    }

    /// Returns the items one after the other; the next page is asked for when it is needed.
    /// After an error there is nothing more.
    pub fn stream(self) -> impl Stream<Item = Result<T, SdkError>> + Send + Unpin + 'static {
        let at_most = self.at_most;
        let reader = Reader {
            ready: VecDeque::new(),
            over: false,
            pages: self,
        };
        Box::pin(stream::unfold(reader, Reader::next)).take(at_most)
    }

    /// Returns all items.
    pub async fn all(self) -> Result<Vec<T>, SdkError> {
        self.stream().try_collect().await
    }

    /// Returns the first item, if there is any.
    pub async fn first(self) -> Result<Option<T>, SdkError> {
        self.at_most(1).stream().try_next().await
    }
}

struct Reader<T> {
    pages: Pages<T>,
    ready: VecDeque<Value>,
    over: bool,
}

impl<T: Many + DeserializeOwned + Send + 'static> Reader<T> {
    async fn next(mut self) -> Option<(Result<T, SdkError>, Self)> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                let item = serde_json::from_value(item).map_err(|cause| SdkError::BadAnswer {
                    asked: self.pages.call.asked(),
                    what: format!("in '{}', {cause}", T::LIST_KEY),
                });
                if item.is_err() {
                    self.end();
                }
                return Some((item, self));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.turn().await {
                self.end();
                return Some((Err(error), self));
            }
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.ready.clear();
    }

    /// Fetches the next page.
    async fn turn(&mut self) -> Result<(), SdkError> {
        let pages = &mut self.pages;
        let wanted = match pages.turning {
            Turning::Offset | Turning::Marker => Some(pages.page_size.unwrap_or(1000)),
            Turning::Links | Turning::Never => pages.page_size,
        };
        let offset = match pages.turning {
            Turning::Offset => Some(pages.offset),
            _ => Some(pages.offset).filter(|offset| *offset > 0 && pages.marker.is_none()),
        };
        let call = pages
            .call
            .clone()
            .query("limit", wanted)
            .query("marker", pages.marker.as_ref())
            .query("offset", offset);
        let mut answer: Value = pages.connection.json(pages.face, &call).await?;
        let matches = answer.get(COUNT).and_then(Value::as_u64);
        let linked = answer
            .get_mut(format!("{}_links", T::LIST_KEY))
            .map(Value::take);
        let page: Vec<Value> = unwrap_key(&call, T::LIST_KEY, answer)?;
        let last = page.last().and_then(id_of);
        if last.is_some() && last == pages.marker {
            return Err(SdkError::BadAnswer {
                asked: call.asked(),
                what: "the same page comes again and again".to_owned(),
            });
        }
        let full = wanted.is_none_or(|wanted| page.len() >= wanted);
        pages.offset += page.len();
        self.over = page.is_empty()
            || match pages.turning {
                // A service may give fewer at once than it is asked for.
                Turning::Offset => match matches {
                    Some(count) => pages.offset as u64 >= count,
                    None => !full,
                },
                Turning::Marker => !full,
                Turning::Links => !has_next(linked.as_ref()),
                Turning::Never => true,
            };
        if pages.turning != Turning::Offset {
            pages.marker = last;
        }
        self.ready = page.into();
        Ok(())
    }
}

fn id_of(item: &Value) -> Option<String> {
    item.get("id")?.as_str().map(str::to_owned)
}

fn has_next(links: Option<&Value>) -> bool {
    links
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|link| link.get("rel").and_then(Value::as_str) == Some("next"))
}
