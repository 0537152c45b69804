//! What others fell into, each with the test that shows that it does not happen here: in libp2p's kad, in what peers say of
//! themselves, and in what they answer.

mod answers;
mod kad;
mod octets;
mod places;
