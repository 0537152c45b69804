//! A client of one of the systems, as their own documentation starts it, with nothing cached between two questions.

use crate::AnyError;
use crate::orders::System;
use futures_lite::StreamExt;
use mainline::async_dht::AsyncDht;
use mainline::{Dht, MutableItem, SigningKey};
use pkarr::{Keypair, ResolvePolicy, SignedPacket};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Somebody who asks and publishes.
#[derive(Clone)]
pub enum Client {
    Mainline(AsyncDht),
    Pkarr(pkarr::Client),
}

impl Client {
    /// A client that begins with these addresses.
    pub fn start(system: System, bootstrap: &[SocketAddrV4]) -> Result<Self, AnyError> {
        match system {
            System::Mainline => {
                let dht = Dht::builder().bootstrap(bootstrap).bind_address(Ipv4Addr::LOCALHOST).port(0).build()?;
                Ok(Self::Mainline(dht.as_async()))
            }
            System::Pkarr => {
                let mut builder = pkarr::Client::builder();
                builder.no_default_network().cache_size(0).bootstrap(bootstrap).dht(|dht| {
                    dht.bind_address = Some(Ipv4Addr::LOCALHOST);
                    dht.port = Some(0);
                    dht
                });
                Ok(Self::Pkarr(builder.build()?))
            }
        }
    }

    /// The first valid record of a key. Returns whether there was one.
    pub async fn resolve(&self, record: &Record) -> bool {
        match self {
            Self::Mainline(dht) => {
                dht.get_mutable(&record.keypair.public_key().to_bytes(), None, None).next().await.is_some()
            }
            Self::Pkarr(client) => {
                client.resolve(&record.keypair.public_key(), ResolvePolicy::CacheFirst).await.is_ok()
            }
        }
    }

    /// Publishes a record with a later sequence than before. Returns whether it was acknowledged.
    pub async fn publish(&self, record: &Record, value_bytes: usize) -> Result<bool, AnyError> {
        let packet = record.packet(value_bytes)?;
        Ok(match self {
            Self::Mainline(dht) => {
                let (key, sequence) = (SigningKey::from_bytes(&record.seed), packet.timestamp().as_u64().cast_signed());
                let item = MutableItem::new(key, &packet.encoded_packet(), sequence, None);
                dht.put_mutable(item, None).await.is_ok()
            }
            Self::Pkarr(client) => client.publish(&packet).await.is_ok(),
        })
    }
}

/// A record that is published and asked for: one DNS text, which both systems carry.
pub struct Record {
    seed: [u8; 32],
    keypair: Keypair,
}

impl Record {
    /// The record number `number`.
    pub fn new(number: usize) -> Self {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Self { seed, keypair: Keypair::from_secret_key(&seed) }
    }

    /// A packet signed now, of about `value_bytes` as it is stored.
    fn packet(&self, value_bytes: usize) -> Result<SignedPacket, AnyError> {
        // What a packet takes beside its text: signature, time, header, names.
        const FRAME_BYTES: usize = 160;
        const LONGEST_STRING: usize = 250;
        let mut left = value_bytes.saturating_sub(FRAME_BYTES).max(1);
        let mut builder = SignedPacket::builder();
        while left > 0 {
            let text = "x".repeat(left.min(LONGEST_STRING));
            left -= text.len();
            builder = builder.txt("_grid".try_into()?, text.as_str().try_into()?, 7 * 24 * 3600);
        }
        Ok(builder.sign(&self.keypair)?)
    }
}
