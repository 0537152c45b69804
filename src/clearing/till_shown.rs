//! Lanes of before that a payer shows all at once, when it meets a till again.

use crate::clearing::till::Till;
use crate::clearing::till_error::TillError;
use crate::keys::PublicKey;
use crate::tariff::wire::LaneId;

impl Till {
    /// Takes what `payer` shows of lanes on which it reads nothing any more, and closes them: the voucher that counts of each, in
    /// their order. They are booked together.
    pub async fn shown(
        &self,
        payer: &PublicKey,
        lanes: &[(LaneId, Option<Vec<u8>>)],
    ) -> Vec<Result<Option<Vec<u8>>, TillError>> {
        let each = lanes.iter().map(|(lane, voucher)| self.one_shown(payer, *lane, voucher.as_deref()));
        futures::future::join_all(each).await
    }

    async fn one_shown(
        &self,
        payer: &PublicKey,
        lane: LaneId,
        voucher: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, TillError> {
        let best = match voucher {
            Some(voucher) => Some(self.voucher(payer, lane, voucher, None).await?.bytes().to_vec()),
            None => self.standing(payer, lane).await?.voucher_base64url.map(|voucher| voucher.0),
        };
        self.close(payer, lane)?;
        Ok(best)
    }
}
