//! A program's metrics as they were at one time. It is pure, and knows no metric's meaning.

/// The text format of OpenMetrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics(String);

impl Metrics {
    pub fn of(text: String) -> Self {
        Self(text)
    }

    /// A value by its name and labels as they are written, `tracer_events_total{kind="exit"}`; 0 for one that is not
    /// there, since those with labels appear from their first use on.
    pub fn value(&self, name: &str) -> u64 {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(value).unwrap_or(0)
    }

    /// The sum over all labels of one name.
    pub fn sum(&self, name: &str) -> u64 {
        let value = |line: &str| -> Option<u64> {
            line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?.1.parse().ok()
        };
        self.0.lines().filter_map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "tracer_lives 3\ntracer_lives_begun_total 7\n\
            tracer_events_total{kind=\"exit\"} 40\ntracer_events_total{kind=\"fork\"} 2\n";
        let metrics = Metrics::of(text.to_owned());
        assert_eq!(metrics.value("tracer_lives"), 3);
        assert_eq!(metrics.value("tracer_events_total{kind=\"exit\"}"), 40);
        assert_eq!(metrics.value("tracer_events_lost_total{kind=\"exit\"}"), 0);
        assert_eq!(metrics.sum("tracer_events_total"), 42);
    }
}
