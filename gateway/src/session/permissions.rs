//! What the nodes of a realm may do. Pure. Where the rules come from is not known here.

use std::collections::HashSet;

use crate::wire::{
    id::NodeId,
    message::Procedure,
    topic::{Pattern, Topic},
};

/// The rules of a realm. Without rules every node may do everything; with rules a node may do what any rule for it permits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permissions {
    pub rules: Vec<Rule>,
}

/// What some nodes may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub nodes: Nodes,
    pub publish: Vec<Pattern>,
    pub subscribe: Vec<Pattern>,
    /// Procedures have names like topics, so patterns fit them.
    pub call: Vec<Pattern>,
    pub register: Vec<Pattern>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Nodes {
    /// All nodes, those without a proven id too.
    #[default]
    All,
    /// Nodes whose certificates prove their ids.
    Proven(HashSet<NodeId>),
}

impl Permissions {
    /// The permissions of one node; `proven` where a certificate proves its id.
    pub fn of(&self, node: NodeId, proven: bool) -> Granted {
        if self.rules.is_empty() {
            return Granted { all: true, ..Granted::default() };
        }
        let mut granted = Granted::default();
        for rule in &self.rules {
            let applies = match &rule.nodes {
                Nodes::All => true,
                Nodes::Proven(nodes) => proven && nodes.contains(&node),
            };
            if applies {
                granted.publish.extend(rule.publish.iter().cloned());
                granted.subscribe.extend(rule.subscribe.iter().cloned());
                granted.call.extend(rule.call.iter().cloned());
                granted.register.extend(rule.register.iter().cloned());
            }
        }
        granted
    }
}

/// What one client may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Granted {
    all: bool,
    publish: Vec<Pattern>,
    subscribe: Vec<Pattern>,
    call: Vec<Pattern>,
    register: Vec<Pattern>,
}

impl Granted {
    pub fn may_publish(&self, topic: &Topic) -> bool {
        self.all || self.publish.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether every topic that `wanted` matches is within what one rule permits.
    pub fn may_subscribe(&self, wanted: &Pattern) -> bool {
        self.all || self.subscribe.iter().any(|pattern| pattern.covers(wanted))
    }

    pub fn may_call(&self, procedure: &Procedure) -> bool {
        self.all || names(&self.call, procedure)
    }

    pub fn may_register(&self, procedure: &Procedure) -> bool {
        self.all || names(&self.register, procedure)
    }
}

fn names(patterns: &[Pattern], procedure: &Procedure) -> bool {
    let topic = procedure.0.parse::<Topic>();
    topic.is_ok_and(|topic| patterns.iter().any(|pattern| pattern.matches(&topic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([1; 32]);

    fn patterns(text: &str) -> Vec<Pattern> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn without_rules_everything_is_permitted() {
        let granted = Permissions::default().of(NODE, false);
        assert!(granted.may_publish(&"a".parse().unwrap()));
        assert!(granted.may_subscribe(&"#".parse().unwrap()));
        assert!(granted.may_register(&Procedure("p".to_owned())));
    }

    #[test]
    fn a_rule_for_a_node_needs_its_certificate() {
        let nodes = Nodes::Proven(HashSet::from([NODE]));
        let rule = Rule { nodes, publish: patterns("a.#"), ..Rule::default() };
        let permissions = Permissions { rules: vec![rule] };
        let topic = "a.b".parse().unwrap();
        assert!(permissions.of(NODE, true).may_publish(&topic));
        assert!(!permissions.of(NODE, false).may_publish(&topic));
        assert!(!permissions.of(NodeId([2; 32]), true).may_publish(&topic));
    }

    #[test]
    fn a_subscription_must_lie_within_what_is_permitted() {
        let rule = Rule { subscribe: patterns("a.*.c"), ..Rule::default() };
        let granted = Permissions { rules: vec![rule] }.of(NODE, false);
        assert!(granted.may_subscribe(&"a.b.c".parse().unwrap()));
        assert!(granted.may_subscribe(&"a.*.c".parse().unwrap()));
        assert!(!granted.may_subscribe(&"a.#.c".parse().unwrap()));
        assert!(!granted.may_subscribe(&"#".parse().unwrap()));
    }

    #[test]
    fn procedures_are_permitted_by_pattern() {
        let rule = Rule { call: patterns("com.example.*"), ..Rule::default() };
        let granted = Permissions { rules: vec![rule] }.of(NODE, false);
        assert!(granted.may_call(&Procedure("com.example.add".to_owned())));
        assert!(!granted.may_call(&Procedure("com.other.add".to_owned())));
        assert!(!granted.may_register(&Procedure("com.example.add".to_owned())));
    }
}
