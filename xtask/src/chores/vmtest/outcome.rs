//! What the lines of a virtual machine's console say about its tests. Pure: it knows neither the
//! machine nor the clock.
//!
//! The machine says `@vm booted RELEASE`, then for each suite `@vm begin NAME`, what the suite
//! prints, `@vm end NAME STATUS`, and last `@vm off`.

use anyhow::{Result, bail, ensure};

/// What has been said so far.
#[derive(Debug, Default)]
pub struct Outcome {
    booted: bool,
    off: bool,
    suites: Vec<Suite>,
}

#[derive(Debug)]
struct Suite {
    name: String,
    /// Its exit status, once it has ended.
    status: Option<i32>,
    /// From its closing line.
    passed: Option<u32>,
}

impl Outcome {
    /// Takes the next line; true if it is for people.
    pub fn take(&mut self, line: &str) -> bool {
        let Some(said) = line.strip_prefix("@vm ") else {
            if let (Some(suite), Some(passed)) = (self.suites.last_mut(), passed(line)) {
                suite.passed = Some(passed);
            }
            return self.booted;
        };
        let mut words = said.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("booted"), ..) => self.booted = true,
            (Some("begin"), Some(name), None) => {
                self.suites.push(Suite { name: name.to_owned(), status: None, passed: None });
            }
            (Some("end"), Some(name), Some(status)) => {
                if let Some(suite) = self.suites.iter_mut().find(|suite| suite.name == name) {
                    suite.status = status.parse().ok();
                }
            }
            (Some("off"), ..) => self.off = true,
            _ => return true,
        }
        false
    }

    pub fn has_booted(&self) -> bool {
        self.booted
    }

    /// Whether the machine came to the end of its script.
    pub fn is_complete(&self) -> bool {
        self.off
    }

    /// How many tests passed, if all of `expected` ran and no test failed.
    ///
    /// # Errors
    ///
    /// When a suite is missing, failed, or has no closing line; when no test ran at all, or, with
    /// no filter, none of one suite.
    pub fn passed(&self, expected: &[&str], filters: &[String]) -> Result<u32> {
        let mut all = 0;
        for name in expected {
            let Some(suite) = self.suites.iter().find(|suite| suite.name == *name) else {
                bail!("{name} did not run");
            };
            match suite.status {
                None => bail!("{name} did not end"),
                Some(0) => {}
                Some(status) => bail!("{name} failed with status {status}"),
            }
            let Some(passed) = suite.passed else {
                bail!("{name} ended without saying that its tests are ok");
            };
            ensure!(passed > 0 || !filters.is_empty(), "{name} ran no test");
            all += passed;
        }
        ensure!(all > 0, "no test has a name with {}", filters.join(" or "));
        Ok(all)
    }
}

/// The count in a suite's closing line: `test result: ok. 3 passed; 0 failed; ...`.
fn passed(line: &str) -> Option<u32> {
    let (count, _) = line.strip_prefix("test result: ok. ")?.split_once(" passed;")?;
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(console: &str) -> Outcome {
        let mut outcome = Outcome::default();
        for line in console.lines() {
            outcome.take(line);
        }
        outcome
    }

    const GOOD: &str = "SeaBIOS\n@vm booted 6.1.0\n@vm begin live\n\
        test result: ok. 3 passed; 0 failed; 0 ignored\n@vm end live 0\n@vm off\n";

    #[test]
    fn a_run_passed_when_every_suite_says_so_itself() {
        assert_eq!(outcome(GOOD).passed(&["live"], &[]).unwrap(), 3);
        assert!(outcome(GOOD).is_complete());
    }

    #[test]
    fn a_suite_that_is_missing_fails_the_run() {
        let error = outcome(GOOD).passed(&["scenes", "live"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "scenes did not run");
    }

    #[test]
    fn status_0_without_a_closing_line_is_a_failure() {
        let quiet = outcome("@vm booted x\n@vm begin live\n@vm end live 0\n@vm off");
        assert!(quiet.passed(&["live"], &[]).is_err());
    }

    #[test]
    fn a_closing_line_without_status_0_is_a_failure() {
        let cut = GOOD.replace("end live 0", "end live 101");
        assert!(outcome(&cut).passed(&["live"], &[]).is_err());
        assert!(outcome(&GOOD.replace("@vm end live 0\n", "")).passed(&["live"], &[]).is_err());
    }

    #[test]
    fn a_run_without_any_test_is_a_failure() {
        let none = GOOD.replace("3 passed", "0 passed");
        assert!(outcome(&none).passed(&["live"], &["oom".to_owned()]).is_err());
        assert!(outcome(&none).passed(&["live"], &[]).is_err());
    }

    #[test]
    fn only_what_comes_after_the_boot_is_for_people() {
        let mut outcome = Outcome::default();
        assert!(!outcome.take("SeaBIOS"));
        assert!(!outcome.take("@vm booted 6.1.0"));
        assert!(outcome.take("running 3 tests"));
        assert!(!outcome.take("@vm begin live"));
    }
}
