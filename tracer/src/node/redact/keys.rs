//! Keys of services, which are known by how they begin and what they are made of. It must not know names.
//!
//! The beginnings are those that gitleaks v8.30 looks for (github.com/gitleaks/gitleaks, config/gitleaks.toml, MIT), as far as
//! they tell a key without the service's name beside it. Shorter keys than theirs are taken, too: output may be cut.

/// What the rest of a key is made of, as a class of a regular expression.
#[derive(Clone, Copy)]
enum Of {
    Hex,
    Capitals,
    Letters,
    /// base64url.
    Url,
    /// The same with dots: several parts.
    Parts,
    /// base64 with either alphabet.
    Base64,
}

impl Of {
    fn class(self) -> &'static str {
        match self {
            Self::Hex => "[A-Fa-f0-9]",
            Self::Capitals => "[A-Z0-9]",
            Self::Letters => "[A-Za-z0-9]",
            Self::Url => r"[A-Za-z0-9_\-]",
            Self::Parts => r"[A-Za-z0-9_.\-]",
            Self::Base64 => r"[A-Za-z0-9_+/=\-]",
        }
    }
}

/// Beginning (a regular expression without groups), what follows it, and how much of that at least.
const KEYS: &[(&str, Of, usize)] = &[
    // Cloud providers.
    ("A3T[A-Z0-9]", Of::Capitals, 16),
    ("A(?:KIA|SIA|BIA|CCA)", Of::Capitals, 16),
    ("ABSK", Of::Base64, 100),
    ("bedrock-api-key-", Of::Base64, 16),
    ("AIza", Of::Url, 30),
    ("LTAI", Of::Letters, 20),
    (r"d[op][opr]_v1_", Of::Hex, 32),
    ("HRKU-AA", Of::Url, 40),
    ("fo1_", Of::Url, 40),
    ("fm[12][ar]?_", Of::Base64, 60),
    (r"v1\.0-[a-f0-9]{24}-", Of::Hex, 40),
    ("tk-us-", Of::Url, 40),
    // Forges, registries, builds.
    ("gh[opsur]_", Of::Letters, 20),
    ("github_pat_", Of::Parts, 20),
    ("gl(?:pat|rt|dt|cbt|ffct|ft|imt|agent|oas|ptt|soat)-", Of::Parts, 16),
    ("GR1348941", Of::Url, 20),
    ("npm_", Of::Letters, 30),
    ("pypi-", Of::Url, 40),
    ("rubygems_", Of::Hex, 32),
    ("CLOJARS_", Of::Letters, 40),
    ("AKCp", Of::Letters, 60),
    ("cmVmd", Of::Letters, 59),
    ("dckr_[op]at_", Of::Url, 20),
    ("dp\\.(?:pt|st|ct|sa)\\.", Of::Parts, 40),
    ("pul-", Of::Hex, 40),
    ("sgp_", Of::Parts, 40),
    ("sq[upa]_", Of::Letters, 40),
    ("ATATT3", Of::Url, 60),
    ("PMAK-", Of::Parts, 40),
    ("pnu_", Of::Letters, 36),
    // Models.
    ("sk-ant-", Of::Url, 16),
    ("sk-(?:proj|svcacct|admin)-", Of::Url, 16),
    ("sk-[A-Za-z0-9]{20}T3BlbkFJ", Of::Letters, 8),
    ("pplx-", Of::Letters, 40),
    ("hf_", Of::Letters, 30),
    ("api_org_", Of::Letters, 30),
    // Stores of secrets.
    (r"hv[sbr]\.", Of::Url, 20),
    (r"[A-Za-z0-9]{14}\.atlasv1\.", Of::Url, 40),
    ("ops_eyJ", Of::Base64, 60),
    ("AGE-SECRET-KEY-1", Of::Capitals, 40),
    // Money, messages, metrics.
    ("[sr]k_(?:live|test|prod)_", Of::Letters, 10),
    ("whsec_", Of::Base64, 20),
    ("sq0(?:atp|csp)-", Of::Url, 20),
    ("EAAA", Of::Url, 50),
    ("EAA[MC]", Of::Letters, 100),
    (r"SG\.", Of::Parts, 60),
    ("SK", Of::Hex, 32),
    ("AC", Of::Hex, 32),
    ("xkeysib-", Of::Parts, 60),
    ("key-", Of::Hex, 32),
    ("xox[abeoprs]-", Of::Url, 10),
    ("xapp-[0-9]-", Of::Url, 20),
    ("[0-9]{8,10}:AA", Of::Url, 32),
    ("glsa_", Of::Parts, 30),
    ("glc_", Of::Base64, 32),
    ("NR(?:AK|II|JS|RA)-", Of::Parts, 19),
    ("dt0[cs][0-9]{2}\\.", Of::Parts, 60),
    ("sntry[su]_", Of::Base64, 40),
    ("dapi", Of::Hex, 32),
    ("lin_(?:api|oauth)_", Of::Letters, 32),
    ("ntn_", Of::Letters, 40),
    ("secret_", Of::Letters, 43),
    ("shp(?:at|ca|pa|ss)_", Of::Hex, 32),
    ("shippo_(?:live|test)_", Of::Hex, 32),
    ("pscale_(?:tkn|oauth|pw)_", Of::Parts, 32),
    ("sm_[aps]at_", Of::Letters, 16),
    ("rdme_", Of::Letters, 60),
    ("EZ[AT]K", Of::Letters, 54),
    ("duffel_(?:test|live)_", Of::Url, 40),
    ("FLWSECK(?:_TEST)?-", Of::Letters, 12),
    ("fio-u-", Of::Url, 40),
    ("dnkey-", Of::Url, 40),
    (r"sha256~", Of::Url, 40),
    // A bot's or a user's of Discord: its id in base64, a time, a signature.
    (r"[MNO][A-Za-z0-9_\-]{23,25}\.[A-Za-z0-9_\-]{6}\.", Of::Url, 27),
];

/// One regular expression for all of them.
pub fn pattern() -> String {
    let keys: Vec<String> = KEYS
        .iter()
        .map(|(begins, of, least)| format!("{begins}{}{{{least},}}", of.class()))
        .collect();
    format!("(?:{})", keys.join("|"))
}
