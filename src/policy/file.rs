//! The policy as a file that the grid manager writes: TOML, read strictly. What is wrong is named with its line and key.

use crate::keys::{GridId, PublicKey};
use crate::policy::quota::Quota;
use crate::policy::retail::{Conversion, Markup, Retail};
use crate::policy::rule::{Action, Ceiling, ClientName, Rule};
use crate::rate::{Asset, RateLine};
use crate::record::{Limit, Nickname};
use crate::session::Group;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use toml::Spanned;

/// The most octets of a policy file.
pub const MAX_POLICY_BYTES: usize = 256 << 10;
/// The most rules.
pub const MAX_RULES: usize = 256;

/// The rules of a grid manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What clients pay; `None`: nothing, and nothing that costs is fetched.
    pub retail: Option<Retail>,
    /// The credit that terms which another grid proposes may have to be accepted without a person; none for other assets.
    pub accept_terms: Vec<Limit>,
    /// The rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {key}: {message}")]
pub struct PolicyError {
    /// Where, counted from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// What is wrong, and what to write.
    pub message: String,
}

impl Policy {
    /// What holds where nobody has written a policy: what is free is fetched, and nothing else.
    pub fn free_only() -> Self {
        let rule = Rule {
            name: "what is free".to_owned(),
            grids: Vec::new(),
            clients: Vec::new(),
            groups: Vec::new(),
            assets: vec![Asset::FREE],
            up_to: Vec::new(),
            action: Action::Allow,
            message: None,
            client_quotas: Vec::new(),
            group_quotas: Vec::new(),
            grid_ceilings: Vec::new(),
        };
        Self { retail: None, accept_terms: Vec::new(), rules: vec![rule] }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    #[serde(default)]
    accept_terms_up_to: Vec<Spanned<String>>,
    #[serde(default)]
    grids: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    lists: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    retail: Option<RawRetail>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRetail {
    asset: Spanned<String>,
    #[serde(default)]
    conversions: BTreeMap<Spanned<String>, Spanned<String>>,
    markup: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRule {
    name: Spanned<String>,
    #[serde(default)]
    grids: Vec<Spanned<String>>,
    #[serde(default)]
    clients: Vec<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default)]
    assets: Vec<Spanned<String>>,
    #[serde(default)]
    up_to: Vec<Spanned<String>>,
    action: Spanned<String>,
    message: Option<Spanned<String>>,
    #[serde(default)]
    client_quota: Vec<Spanned<String>>,
    #[serde(default)]
    group_quota: Vec<Spanned<String>>,
    #[serde(default)]
    grid_ceiling: Vec<Spanned<String>>,
}

/// Finds the line of what is wrong.
struct Places<'t>(&'t str);

impl Places<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.0.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn error(&self, key: &str, at: usize, message: impl Display) -> PolicyError {
        PolicyError { line: self.line(at), key: key.to_owned(), message: message.to_string() }
    }

    fn parsed<T: FromStr<Err: Display>>(&self, key: &str, text: &Spanned<String>) -> Result<T, PolicyError> {
        text.get_ref().parse().map_err(|error| self.error(key, text.span().start, error))
    }

    fn all<T: FromStr<Err: Display>>(&self, key: &str, texts: &[Spanned<String>]) -> Result<Vec<T>, PolicyError> {
        texts.iter().map(|text| self.parsed(key, text)).collect()
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let places = Places(text);
        if text.len() > MAX_POLICY_BYTES {
            return Err(places.error(
                "the file",
                0,
                format!("{} octets, and at most {MAX_POLICY_BYTES} are read", text.len()),
            ));
        }
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            places.error(key_at(text, at), at, error.message())
        })?;
        let retail = raw.retail.map(|raw| retail(&places, &raw)).transpose()?;
        let names = Names::read(&places, &raw.grids, &raw.lists)?;
        if let Some(rule) = raw.rules.get(MAX_RULES) {
            return Err(places.error("rule", rule.span().start, format!("more than {MAX_RULES} rules")));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for raw in &raw.rules {
            let rule = rule(&places, &names, retail.as_ref(), raw.get_ref())?;
            if rules.iter().any(|other| other.name == rule.name) {
                let at = raw.get_ref().name.span().start;
                return Err(places.error("name", at, format!("two rules are called `{}`", rule.name)));
            }
            rules.push(rule);
        }
        let accept_terms: Vec<Limit> = places.all("accept-terms-up-to", &raw.accept_terms_up_to)?;
        for (index, limit) in accept_terms.iter().enumerate() {
            if accept_terms[..index].iter().any(|other| other.asset() == limit.asset()) {
                let at = raw.accept_terms_up_to[index].span().start;
                return Err(places.error("accept-terms-up-to", at, format!("{} twice", limit.asset())));
            }
        }
        Ok(Self { retail, accept_terms, rules })
    }
}

/// The key that the line at `at` begins with, for errors that TOML's own parser tells.
fn key_at(text: &str, at: usize) -> &str {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let key = line.split(['=', '#']).next().unwrap_or_default().trim();
    let plain = !key.is_empty() && key.len() <= 64 && !key.contains(|c: char| c.is_control());
    if plain { key } else { "the file" }
}

/// The operator's own names for grids.
struct Names {
    grids: BTreeMap<String, Vec<GridId>>,
}

impl Names {
    fn read(
        places: &Places<'_>,
        grids: &BTreeMap<Spanned<String>, Spanned<String>>,
        lists: &BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    ) -> Result<Self, PolicyError> {
        let mut names = Self { grids: BTreeMap::new() };
        for (name, id) in grids {
            names.grids.insert(name.get_ref().clone(), vec![places.parsed(name.get_ref(), id)?]);
        }
        let mut of_lists = Vec::new();
        for (name, members) in lists {
            if names.grids.contains_key(name.get_ref()) {
                let what = format!("`{}` is the name of a grid and of a list", name.get_ref());
                return Err(places.error(name.get_ref(), name.span().start, what));
            }
            // A list names grids, and no other lists.
            let all = members.iter().map(|member| names.find(places, name.get_ref(), member));
            of_lists.push((name.get_ref().clone(), all.collect::<Result<Vec<_>, _>>()?.concat()));
        }
        names.grids.extend(of_lists);
        Ok(names)
    }

    fn find(&self, places: &Places<'_>, key: &str, text: &Spanned<String>) -> Result<Vec<GridId>, PolicyError> {
        if let Some(grids) = self.grids.get(text.get_ref()) {
            return Ok(grids.clone());
        }
        text.get_ref().parse().map(|grid| vec![grid]).map_err(|_| {
            let shown: String = text.get_ref().chars().take(40).collect();
            let what = format!("`{shown}` is no grid id, and neither `[grids]` nor `[lists]` has it");
            places.error(key, text.span().start, what)
        })
    }
}

fn retail(places: &Places<'_>, raw: &RawRetail) -> Result<Retail, PolicyError> {
    let asset: Asset = places.parsed("asset", &raw.asset)?;
    if asset.is_free() {
        return Err(places.error(
            "asset",
            raw.asset.span().start,
            "clients are billed in a currency; leave `[retail]` out for nothing",
        ));
    }
    let mut conversions = Vec::new();
    for (from, factor) in &raw.conversions {
        let from =
            Conversion { from: places.parsed("conversions", from)?, factor: places.parsed(from.get_ref(), factor)? };
        conversions.push(from);
    }
    let markup = raw.markup.as_ref().map(|text| places.parsed("markup", text)).transpose()?;
    Ok(Retail { asset, conversions, markup: markup.unwrap_or(Markup(0)) })
}

fn rule(places: &Places<'_>, names: &Names, retail: Option<&Retail>, raw: &RawRule) -> Result<Rule, PolicyError> {
    let name: Nickname =
        Nickname::new(raw.name.get_ref()).map_err(|error| places.error("name", raw.name.span().start, error))?;
    let action = match raw.action.get_ref().as_str() {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "ask" => Action::Ask,
        _ => return Err(places.error("action", raw.action.span().start, "write `allow`, `deny` or `ask`")),
    };
    let grids = raw.grids.iter().map(|text| names.find(places, "grids", text)).collect::<Result<Vec<_>, _>>()?;
    let quotas = |key, texts: &[Spanned<String>]| places.all::<Quota>(key, texts);
    let (client_quotas, group_quotas) =
        (quotas("client-quota", &raw.client_quota)?, quotas("group-quota", &raw.group_quota)?);
    let home = retail.map(|retail| retail.asset);
    for (key, quotas, texts) in
        [("client-quota", &client_quotas, &raw.client_quota), ("group-quota", &group_quotas, &raw.group_quota)]
    {
        for (quota, text) in quotas.iter().zip(texts) {
            if let Some(asset) = Policy::foreign_to(home, quota) {
                let what = match home {
                    Some(home) => format!("clients are billed in {home}, not in {asset}"),
                    None => format!("clients are not billed: without `[retail]` nobody counts {asset}"),
                };
                return Err(places.error(key, text.span().start, what));
            }
        }
    }
    let grid_ceilings = quotas("grid-ceiling", &raw.grid_ceiling)?;
    if action == Action::Deny {
        for (key, texts) in [
            ("client-quota", &raw.client_quota),
            ("group-quota", &raw.group_quota),
            ("grid-ceiling", &raw.grid_ceiling),
        ] {
            if let Some(text) = texts.first() {
                return Err(places.error(key, text.span().start, "a rule that refuses has no quota"));
            }
        }
    }
    let message = match &raw.message {
        Some(text) => {
            let message = Message::from_str(text.get_ref());
            Some(message.map_err(|what| places.error("message", text.span().start, what))?.0)
        }
        None => None,
    };
    let up_to: Vec<Ceiling> = raw.up_to.iter().map(|text| ceiling(places, text)).collect::<Result<_, _>>()?;
    Ok(Rule {
        name: name.as_str().to_owned(),
        grids: grids.concat(),
        clients: raw.clients.iter().map(|text| client(places, text)).collect::<Result<_, _>>()?,
        groups: places.all::<Group>("groups", &raw.groups)?,
        assets: places.all("assets", &raw.assets)?,
        up_to,
        action,
        message,
        client_quotas,
        group_quotas,
        grid_ceilings,
    })
}

/// A sentence for a client: it is shown in a terminal.
struct Message(String);

impl FromStr for Message {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            _ if text.trim().is_empty() || text.len() > 256 => Err("a message has 1 to 256 octets"),
            _ if text.chars().any(char::is_control) => Err("a message has no control characters"),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

fn client(places: &Places<'_>, text: &Spanned<String>) -> Result<ClientName, PolicyError> {
    if text.get_ref().starts_with("pub-v0-") {
        return places.parsed::<PublicKey>("clients", text).map(ClientName::Key);
    }
    let label = Nickname::new(text.get_ref()).map_err(|error| places.error("clients", text.span().start, error))?;
    Ok(ClientName::Label(label))
}

fn ceiling(places: &Places<'_>, text: &Spanned<String>) -> Result<Ceiling, PolicyError> {
    let line: RateLine = places.parsed("up-to", text)?;
    if line.not_before().is_some() || line.committed_until().is_some() || line.next().is_some() {
        return Err(places.error("up-to", text.span().start, "a ceiling has no dates: write `0.05 USD/GiB`"));
    }
    Ok(Ceiling { asset: line.asset(), price: line.price() })
}
