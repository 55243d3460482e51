//! Publishes readings of a meter and prints those of all meters, until it is interrupted:
//! `cargo run --example meter -- localhost:9443 ca.pem 7`

use std::{env, time::Duration};

use anyhow::{Context, Result};
use gateway::client::{Client, Config, PublishOptions, SubscribeOptions, Trust};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    let mut word = |what| words.next().with_context(|| format!("{what} is missing"));
    let (address, ca, meter) = (word("the address")?, word("the CA file")?, word("the number")?);
    let realm = "be.cortexiq.energy".parse()?;
    let config = Config::new(address, realm, Trust::Authority(ca.into()));
    let client = Client::connect(config).await?;

    let all = "meters.*.power".parse()?;
    let mut readings = client.subscribe(&all, SubscribeOptions::default()).await?;
    let topic = format!("meters.{meter}.power").parse()?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for watts in 200u32.. {
        tokio::select! {
            _ = ticks.tick() => {
                // While there is no connection a reading is lost: the next one is newer.
                let sent = client.publish(&topic, watts.to_string(), PublishOptions::default()).await;
                if let Err(error) = sent {
                    eprintln!("{error}");
                }
            }
            reading = readings.next() => {
                let Some(reading) = reading else { break };
                println!("{} {}", reading.topic, String::from_utf8_lossy(&reading.payload));
            }
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        }
    }
    client.close().await;
    Ok(())
}
