//! Offers a procedure that adds numbers, and calls it from a second connection:
//! `cargo run --example sum -- localhost:9443 ca.pem 1 2 3`

use std::{env, time::Duration};

use anyhow::{Context, Result};
use gateway::client::{CallError, Client, Config, Term, Trust};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    let address = words.next().context("the address is missing")?;
    let ca = words.next().context("the CA file is missing")?;
    let numbers = words.collect::<Vec<_>>().join(" ");
    println!("{}", sum_of(address, Trust::Authority(ca.into()), numbers).await?);
    Ok(())
}

pub async fn sum_of(address: String, trust: Trust, numbers: String) -> Result<String> {
    let config = Config::new(address, "be.cortexiq.energy".parse()?, trust);
    let provider = Client::connect(config.clone()).await?;
    provider.register("com.example.sum", |args| async move { sum(&args) }).await?;

    let caller = Client::connect(config).await?;
    let result = caller.call("com.example.sum", numbers, Duration::from_secs(5)).await?;
    caller.close().await;
    provider.close().await;
    Ok(String::from_utf8_lossy(&result.bytes()?).into_owned())
}

fn sum(args: &Term) -> Result<Term, CallError> {
    let wrong = |why: &dyn ToString| CallError::handler(why.to_string());
    let args = args.bytes()?;
    let text = str::from_utf8(&args).map_err(|error| wrong(&error))?;
    let mut sum = 0i64;
    for number in text.split_whitespace() {
        let number: i64 = number.parse().map_err(|error| wrong(&error))?;
        sum = sum.checked_add(number).ok_or_else(|| wrong(&"the sum is too large"))?;
    }
    Ok(sum.to_string().into())
}
