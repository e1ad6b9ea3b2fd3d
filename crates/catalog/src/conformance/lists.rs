//! Lists hold what they should in the order they should, and their pages joined are the list.

mod backups;
mod tasks;
mod vaults;
mod volumes;

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use emberkeep_model::Timestamp;

use super::sample::Dice;
use crate::{Catalog, Direction, Page, Paging, Sort};

pub(super) async fn run(make: &impl AsyncFn() -> Arc<dyn Catalog>) {
    volumes::volumes(&*make().await).await;
    volumes::snapshots(&*make().await).await;
    backups::backups(&*make().await).await;
    vaults::vaults(&*make().await).await;
    tasks::tasks(&*make().await).await;
}

/// Few values, so that many are equal; names of every sort, none among them.
fn name(dice: &mut Dice) -> Option<String> {
    let names = ["", "a", "B", "b", "ab", "ä", "数"].map(str::to_owned);
    dice.maybe(|d| d.pick(&names))
}

fn time(dice: &mut Dice) -> Timestamp {
    Timestamp(dice.pick(&[-5, 0, 3, 3_000_000_000_000_000]))
}

/// What a row is sorted by: a number or text, or nothing, which comes before either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Nothing,
    Number(i64),
    Text(String),
}

fn number(n: Option<Timestamp>) -> Rank {
    n.map_or(Rank::Nothing, |n| Rank::Number(n.0))
}

fn text(text: Option<&String>) -> Rank {
    text.map_or(Rank::Nothing, |t| Rank::Text(t.clone()))
}

fn in_way(way: Direction, order: Ordering) -> Ordering {
    match way {
        Direction::Ascending => order,
        Direction::Descending => order.reverse(),
    }
}

/// Sorts as the port says.
fn sorted<T: Clone, F: Copy>(
    rows: &[T],
    sort: &[(F, Direction)],
    rank: impl Fn(&T, F) -> Rank,
    last: impl Fn(&T) -> (Timestamp, String),
) -> Vec<T> {
    let way = sort.first().map_or(Direction::Descending, |&(_, way)| way);
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| {
        let keys = sort
            .iter()
            .map(|&(field, way)| in_way(way, rank(a, field).cmp(&rank(b, field))));
        keys.fold(Ordering::Equal, Ordering::then)
            .then(in_way(way, last(a).cmp(&last(b))))
    });
    rows
}

/// All single sorts, some pairs and triples, and none.
fn sorts<F: Copy>(fields: &[F]) -> Vec<Sort<F>> {
    use Direction::{Ascending as Up, Descending as Down};
    let mut sorts = vec![Vec::new()];
    for (i, &field) in fields.iter().enumerate() {
        let (next, third) = (
            fields[(i + 1) % fields.len()],
            fields[(i + 3) % fields.len()],
        );
        sorts.extend([vec![(field, Up)], vec![(field, Down)]]);
        sorts.extend([
            vec![(field, Up), (next, Down)],
            vec![(field, Down), (next, Up)],
        ]);
        sorts.push(vec![(field, Up), (third, Up), (next, Down)]);
        sorts.push(vec![(field, Down), (field, Up), (next, Down)]);
    }
    sorts
}

/// Checks that a bound on a page's bytes ends it after one row at least, says so, and loses none.
async fn check_bytes<T: Clone + PartialEq + Debug, Id: Clone>(
    what: &str,
    want: &[T],
    id: impl Fn(&T) -> Id,
    list: impl AsyncFn(Paging<Id>) -> Page<T>,
) {
    let bounded = async |max_bytes, marker| {
        list(Paging {
            limit: Some(1000),
            marker,
            max_bytes: Some(max_bytes),
            ..Paging::default()
        })
        .await
    };
    let mut got: Vec<T> = Vec::new();
    loop {
        let page = bounded(1, got.last().map(&id)).await;
        if page.items.is_empty() {
            assert!(!page.is_cut, "{what}: nothing was left out of nothing");
            break;
        }
        assert_eq!(
            page.items.len(),
            1,
            "{what}: the first row is over the bound"
        );
        assert!(page.is_cut, "{what}: a page that ends early says so");
        got.extend(page.items);
        assert!(got.len() <= want.len(), "{what}: a bounded list never ends");
    }
    assert_eq!(got, want, "{what}: by pages of one byte");
    let page = bounded(u64::MAX, None).await;
    assert_eq!(
        (page.items.len(), page.is_cut),
        (want.len(), false),
        "{what}: a bound that is far off"
    );
}

/// Checks that a list is `want`, and that its pages are, however they are cut.
async fn check_pages<T: Clone + PartialEq + Debug, Id: Clone>(
    what: &str,
    want: &[T],
    id: impl Fn(&T) -> Id,
    absent: Id,
    list: impl AsyncFn(Paging<Id>) -> Page<T>,
) {
    let whole = list(Paging::default()).await;
    assert_eq!(whole.items, want, "{what}: the whole list");
    assert_eq!(whole.total, None, "{what}: not counted unless asked");
    for limit in [1, 7, 1000] {
        let mut got: Vec<T> = Vec::new();
        loop {
            let marker = got.last().map(&id);
            let with_total = limit > 1;
            let paging = Paging {
                limit: Some(limit),
                marker,
                with_total,
                ..Paging::default()
            };
            let page = list(paging).await;
            assert!(
                page.items.len() <= limit as usize,
                "{what}: {limit} at a time"
            );
            let total = with_total.then_some(want.len() as u64);
            assert_eq!(page.total, total, "{what}: the total is of all pages");
            if page.items.is_empty() {
                break;
            }
            got.extend(page.items);
            assert!(
                got.len() <= want.len(),
                "{what}: {limit} at a time never ends"
            );
        }
        assert_eq!(got, want, "{what}: {limit} at a time, by marker");
    }
    check_bytes(what, want, &id, &list).await;
    for skip in [0, 1, want.len() / 2, want.len(), want.len() + 9] {
        for limit in [None, Some(0), Some(3)] {
            let paging = Paging {
                limit,
                offset: skip as u64,
                ..Paging::default()
            };
            let end = limit.map_or(usize::MAX, |l| l as usize);
            let part: Vec<_> = want.iter().skip(skip).take(end).cloned().collect();
            assert_eq!(
                list(paging).await.items,
                part,
                "{what}: {limit:?} after {skip}"
            );
        }
        if let Some(marker) = want.get(2) {
            let paging = Paging {
                limit: Some(4),
                offset: skip as u64,
                marker: Some(id(marker)),
                with_total: false,
                max_bytes: None,
            };
            let part: Vec<_> = want.iter().skip(3 + skip).take(4).cloned().collect();
            assert_eq!(
                list(paging).await.items,
                part,
                "{what}: after a marker and {skip} more"
            );
        }
    }
    let far = Paging {
        offset: u64::MAX,
        limit: Some(u32::MAX),
        ..Paging::default()
    };
    assert!(
        list(far).await.items.is_empty(),
        "{what}: far beyond the end"
    );
    let nowhere = Paging {
        marker: Some(absent),
        with_total: true,
        ..Paging::default()
    };
    let page = list(nowhere).await;
    assert!(
        page.items.is_empty(),
        "{what}: after a marker that is not there"
    );
    assert_eq!(page.total, Some(want.len() as u64), "{what}: but counted");
}

fn rank_none<T>(_: &T, (): ()) -> Rank {
    Rank::Nothing
}
