//! What several nodes answer, put together: pure. It must not know how they are asked.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};

use crate::contract::{Candidate, ListedCrash, Shown};

/// Crashes of all nodes, oldest first.
pub struct Newest<'a, T> {
    /// Each with its line.
    pub crashes: Vec<(T, &'a str)>,
    /// There are older ones.
    pub is_cut: bool,
    /// Lines that are no crash objects, as far as this program knows them.
    pub unreadable: usize,
}

/// The newest `limit` of the crashes that all nodes told of, one a line.
pub fn newest<T: Timed + DeserializeOwned>(answers: &[String], limit: usize) -> Newest<'_, T> {
    let mut lines = 0;
    let lines_of_all = answers.iter().flat_map(|answer| answer.lines()).inspect(|_| lines += 1);
    let read = |line| Some((serde_json::from_str(line).ok()?, line));
    let mut crashes: Vec<(T, &str)> = lines_of_all.filter_map(read).collect();
    let unreadable = lines - crashes.len();
    // Those of one node stay in its order.
    crashes.sort_by(|(one, _), (other, _)| one.time().cmp(other.time()));
    let older = crashes.len().saturating_sub(limit);
    Newest { crashes: crashes.split_off(older), is_cut: older > 0, unreadable }
}

/// What says when a crash was. All agents write times of the same length.
pub trait Timed {
    fn time(&self) -> &str;
}

/// Of a crash object.
#[derive(Deserialize)]
pub struct When {
    crash: Time,
}

#[derive(Deserialize)]
struct Time {
    time: String,
}

impl Timed for When {
    fn time(&self) -> &str {
        &self.crash.time
    }
}

impl Timed for Shown<ListedCrash> {
    fn time(&self) -> &str {
        &self.crash.time
    }
}

/// What one node has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    pub node: usize,
    pub what: Candidate,
    /// Of its newest death; `None` of one among several.
    pub time: Option<String>,
}

/// Where a death is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    /// On these nodes, that with the newest death first.
    At(Vec<usize>),
    /// One of these, on these nodes.
    Several(Vec<(Candidate, Vec<usize>)>),
}

/// When it died last on a node.
type Held = (Option<String>, usize);

/// By the rules by which one node chooses: a crash's id before a pod's name, a whole one before the beginning of one.
/// `may_be_id` where nothing but the name was given.
pub fn place(name: &str, may_be_id: bool, fits: Vec<Fit>) -> Place {
    let rank = |fit: &Fit| rank(name, may_be_id, &fit.what);
    let Some(best) = fits.iter().map(rank).min() else { return Place::Nowhere };
    let mut places: BTreeMap<_, (Candidate, Vec<Held>)> = BTreeMap::new();
    for fit in fits.into_iter().filter(|fit| rank(fit) == best) {
        let Candidate { namespace, pod, crash_id } = &fit.what;
        let id = if best.is_id() { crash_id.clone() } else { None };
        let key = (namespace.clone(), pod.clone(), id.clone());
        let what = Candidate { crash_id: id, ..fit.what };
        places.entry(key).or_insert_with(|| (what, Vec::new())).1.push((fit.time, fit.node));
    }
    let mut places: Vec<_> = places.into_values().collect();
    if let [(_, nodes)] = places.as_mut_slice() {
        nodes.sort_by(|one, other| other.cmp(one));
        return Place::At(nodes.iter().map(|(_, node)| *node).collect());
    }
    let nodes = |nodes: Vec<Held>| nodes.into_iter().map(|(_, node)| node).collect();
    Place::Several(places.into_iter().map(|(what, held)| (what, nodes(held))).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Id,
    BeginningOfId,
    Pod,
    BeginningOfPod,
}

impl Rank {
    fn is_id(self) -> bool {
        match self {
            Self::Id | Self::BeginningOfId => true,
            Self::Pod | Self::BeginningOfPod => false,
        }
    }
}

fn rank(name: &str, may_be_id: bool, what: &Candidate) -> Rank {
    let id = what.crash_id.as_deref().filter(|_| may_be_id).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    if id == lower {
        Rank::Id
    } else if id.starts_with(&lower) {
        Rank::BeginningOfId
    } else if what.pod.as_deref() == Some(name) {
        Rank::Pod
    } else {
        Rank::BeginningOfPod
    }
}

/// Of the deaths of one pod, on which node the one is that has `later` newer ones, and how many newer ones that node
/// itself has. `times` are those of each node, in any order. `None` where there are not so many.
pub fn previous(times: &[(usize, Vec<String>)], later: usize) -> Option<(usize, usize)> {
    let all = times.iter().flat_map(|(node, times)| times.iter().map(move |time| (time, *node)));
    let mut all: Vec<(&String, usize)> = all.collect();
    all.sort_by(|one, other| other.cmp(one));
    let (_, node) = *all.get(later)?;
    Some((node, all[..later].iter().filter(|(_, other)| *other == node).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(minute: u32, id: &str) -> String {
        format!(
            "{{\"crash\":{{\"time\":\"2026-01-31T10:{minute:02}:00.000000000Z\",\"id\":\"{id}\"}}}}\n"
        )
    }

    #[test]
    fn crashes_are_merged_by_time_and_the_limit_counts_over_all() {
        let answers = [line(1, "a") + &line(5, "b"), String::new(), line(3, "c") + &line(4, "d")];
        let order = |limit| {
            let Newest { crashes, is_cut, .. } = newest::<Shown<ListedCrash>>(&answers, limit);
            let lines = newest::<When>(&answers, limit).crashes.into_iter().map(|(_, line)| line);
            assert!(lines.eq(crashes.iter().map(|(_, line)| *line)));
            let ids = crashes.iter().map(|(object, _)| object.crash.id.as_str());
            (ids.collect::<String>(), is_cut)
        };
        assert_eq!(order(4), ("acdb".to_owned(), false));
        assert_eq!(order(2), ("db".to_owned(), true));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_counted_and_hides_no_other() {
        let answers = [line(1, "a") + "no json\n{}\n" + &line(5, "b")];
        let newest = newest::<Shown<ListedCrash>>(&answers, 9);
        assert_eq!((newest.crashes.len(), newest.unreadable, newest.is_cut), (2, 2, false));
    }

    fn fit(node: usize, namespace: &str, pod: &str, id: Option<&str>, time: Option<&str>) -> Fit {
        let what = Candidate {
            namespace: Some(namespace.to_owned()),
            pod: Some(pod.to_owned()),
            crash_id: id.map(str::to_owned),
        };
        Fit { node, what, time: time.map(str::to_owned) }
    }

    #[test]
    fn a_pod_that_was_on_two_nodes_is_where_it_died_last() {
        let fits = vec![
            fit(0, "shop", "cart-0", Some("aaaaaaaaaaaa"), Some("10:00")),
            fit(2, "shop", "cart-0", Some("bbbbbbbbbbbb"), Some("11:00")),
        ];
        assert_eq!(place("cart-0", true, fits.clone()), Place::At(vec![2, 0]));
        assert_eq!(place("cart", true, fits), Place::At(vec![2, 0]));
        assert_eq!(place("cart", true, Vec::new()), Place::Nowhere);
    }

    #[test]
    fn a_whole_name_comes_before_the_beginning_of_another() {
        let fits = vec![
            fit(0, "shop", "cart-0", None, None),
            fit(0, "shop", "cart-1", None, None),
            fit(1, "shop", "cart", Some("aaaaaaaaaaaa"), Some("10:00")),
        ];
        assert_eq!(place("cart", true, fits), Place::At(vec![1]));
    }

    #[test]
    fn a_name_that_fits_several_pods_lists_them_with_their_nodes() {
        let fits = vec![
            fit(0, "shop", "cart-0", Some("aaaaaaaaaaaa"), Some("10:00")),
            fit(1, "shop", "cart-0", None, None),
            fit(1, "shop", "cart-1", None, None),
        ];
        let Place::Several(several) = place("cart", true, fits) else { panic!("one of two") };
        let told: Vec<_> =
            several.iter().map(|(what, nodes)| (what.to_string(), nodes.clone())).collect();
        assert_eq!(
            told,
            [("shop/cart-0".to_owned(), vec![0, 1]), ("shop/cart-1".to_owned(), vec![1])]
        );
    }

    #[test]
    fn an_id_is_one_of_a_crash_before_that_of_a_pod() {
        let fits = vec![
            fit(0, "shop", "facade-0", Some("aaaaaaaaaaaa"), Some("11:00")),
            fit(1, "shop", "cart-0", Some("facade000000"), Some("10:00")),
        ];
        assert_eq!(place("FACADE", true, fits), Place::At(vec![1]));
        // With a namespace it can only be a pod's name, whatever the ids.
        let pods = vec![
            fit(0, "shop", "facade-0", Some("facade000000"), Some("11:00")),
            fit(1, "shop", "facade", Some("aaaaaaaaaaaa"), Some("10:00")),
        ];
        assert_eq!(place("facade", false, pods), Place::At(vec![1]));
        let two = vec![
            fit(0, "shop", "cart-0", Some("facade000000"), Some("10:00")),
            fit(1, "shop", "cart-0", Some("facade111111"), Some("10:00")),
        ];
        assert!(
            matches!(place("facade", true, two), Place::Several(several) if several.len() == 2)
        );
    }

    #[test]
    fn earlier_deaths_are_counted_over_nodes() {
        let at = |times: &[&str]| times.iter().map(|time| (*time).to_owned()).collect();
        let times = [(0, at(&["10:00", "10:02"])), (1, at(&["10:01", "10:03"]))];
        assert_eq!(previous(&times, 0), Some((1, 0)));
        assert_eq!(previous(&times, 1), Some((0, 0)));
        assert_eq!(previous(&times, 2), Some((1, 1)));
        assert_eq!(previous(&times, 3), Some((0, 1)));
        assert_eq!(previous(&times, 4), None);
    }
}
