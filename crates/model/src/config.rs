//! Configuration of a U-Net, as `diffusers` writes it for `UNet2DModel` (`unet/config.json`).
//!
//! Names, defaults and meanings are those of `diffusers` 0.35. A field that changes the network in a
//! way that [`crate::graph`] cannot express is refused by its name and value, never ignored.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;

mod fields;
use fields::Fields;

/// Largest height or width of a sample.
pub const MAX_SIDE: usize = 4096;
/// Largest number of channels of one block.
pub const MAX_CHANNELS: usize = 16_384;
/// Largest number of resolutions.
pub const MAX_LEVELS: usize = 10;
/// Most residual blocks at one resolution.
pub const MAX_LAYERS: usize = 32;
/// Most classes.
pub const MAX_CLASSES: usize = 1_000_000;
/// Largest embedding.
pub const MAX_EMBEDDING: usize = 4 * MAX_CHANNELS;

/// What one resolution is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// `DownBlock2D`, `UpBlock2D`: residual blocks, convolution to change resolution.
    Plain,
    /// `AttnDownBlock2D`, `AttnUpBlock2D`: each residual block is followed by self-attention; the
    /// configuration says how the resolution changes.
    Attention,
    /// `ResnetDownsampleBlock2D`, `ResnetUpsampleBlock2D`: residual blocks, one more of them changes resolution.
    Resnet,
}

impl Block {
    const ALL: [Block; 3] = [Block::Plain, Block::Attention, Block::Resnet];

    fn down_name(self) -> &'static str {
        match self {
            Block::Plain => "DownBlock2D",
            Block::Attention => "AttnDownBlock2D",
            Block::Resnet => "ResnetDownsampleBlock2D",
        }
    }

    fn up_name(self) -> &'static str {
        match self {
            Block::Plain => "UpBlock2D",
            Block::Attention => "AttnUpBlock2D",
            Block::Resnet => "ResnetUpsampleBlock2D",
        }
    }
}

/// How a [`Block::Attention`] changes resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resampling {
    /// A convolution: stride 2 on the way down, after nearest-neighbour upsampling on the way up.
    Conv,
    /// A residual block that averages 2x2 pixels or repeats them.
    Resnet,
}

/// How the time embedding enters a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeShift {
    /// Added after the first convolution.
    Default,
    /// Scales and shifts the second normalisation.
    ScaleShift,
}

/// A `UNet2DModel`: everything that decides the network's shape and arithmetic.
///
/// As JSON it reads and writes the fields of `diffusers`; what it writes, it reads back equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct UnetConfig {
    /// Height and width of a sample; each a multiple of `2^(levels - 1)`, at most [`MAX_SIDE`].
    pub sample_size: [usize; 2],
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Channels at each resolution, highest resolution first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks at each resolution on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// Kind of each resolution on the way down, highest resolution first.
    pub down_block_types: Vec<Block>,
    /// Kind of each resolution on the way up, lowest resolution first.
    pub up_block_types: Vec<Block>,
    /// How attention blocks go down.
    pub downsample_type: Resampling,
    /// How attention blocks go up.
    pub upsample_type: Resampling,
    /// Padding of downsampling convolutions: 1 on all sides, or 0, which means one row below and one column right.
    pub downsample_padding: usize,
    /// Whether there is a middle block (`mid_block_type`).
    pub mid_block: bool,
    /// Whether the middle block has self-attention.
    pub add_attention: bool,
    /// Channels of one attention head; `None`: one head.
    pub attention_head_dim: Option<usize>,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Groups of the middle attention's normalisation; `None`: `norm_num_groups`, or no normalisation at
    /// all with [`TimeShift::ScaleShift`].
    pub attn_norm_num_groups: Option<usize>,
    /// Added to the variance of every normalisation; above 0, at most 1.
    pub norm_eps: f64,
    /// How the time embedding enters.
    pub resnet_time_scale_shift: TimeShift,
    /// Size of the time embedding; `None`: four times the first block's channels.
    pub time_embedding_dim: Option<usize>,
    /// Whether cosines come before sines in the time embedding.
    pub flip_sin_to_cos: bool,
    /// Taken off half the number of frequencies in the time embedding's exponent; at least 0 and less than that half.
    pub freq_shift: f64,
    /// Number of classes, the "no class" one included; `None`: no class input.
    pub num_class_embeds: Option<usize>,
}

impl UnetConfig {
    /// Reads the content of a `config.json`.
    ///
    /// # Errors
    /// Text that is no JSON object; a field that is impossible or unsupported.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let value: Value =
            serde_json::from_str(text).map_err(|e| Error::Invalid(format!("not JSON: {e}")))?;
        Self::from_value(&value)
    }

    /// Reads an already parsed `config.json`.
    ///
    /// # Errors
    /// A value that is no JSON object; a field that is impossible or unsupported.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let Value::Object(map) = value else {
            return Err(Error::Invalid("not a JSON object".into()));
        };
        let mut f = Fields::new(map);
        refuse_unsupported(&mut f)?;
        let config = UnetConfig {
            sample_size: f.size("sample_size", MAX_SIDE)?,
            in_channels: f.count("in_channels", Some(3), MAX_CHANNELS)?,
            out_channels: f.count("out_channels", Some(3), MAX_CHANNELS)?,
            block_out_channels: f.counts(
                "block_out_channels",
                &[224, 448, 672, 896],
                MAX_CHANNELS,
                MAX_LEVELS,
            )?,
            layers_per_block: f.count("layers_per_block", Some(2), MAX_LAYERS)?,
            down_block_types: blocks(&mut f, "down_block_types", Block::down_name, [0, 1, 1, 1])?,
            up_block_types: blocks(&mut f, "up_block_types", Block::up_name, [1, 1, 1, 0])?,
            downsample_type: resampling(&mut f, "downsample_type")?,
            upsample_type: resampling(&mut f, "upsample_type")?,
            downsample_padding: f.one_of("downsample_padding", &[json!(0), json!(1)], 1)?,
            mid_block: f.one_of("mid_block_type", &[json!("UNetMidBlock2D"), Value::Null], 0)? == 0,
            add_attention: f.flag("add_attention", true)?,
            attention_head_dim: f.optional_count("attention_head_dim", Some(8), MAX_CHANNELS)?,
            norm_num_groups: f.count("norm_num_groups", Some(32), MAX_CHANNELS)?,
            attn_norm_num_groups: f.optional_count("attn_norm_num_groups", None, MAX_CHANNELS)?,
            norm_eps: f.number("norm_eps", 1e-5)?,
            resnet_time_scale_shift: match f.one_of(
                "resnet_time_scale_shift",
                &[json!("default"), json!("scale_shift")],
                0,
            )? {
                0 => TimeShift::Default,
                _ => TimeShift::ScaleShift,
            },
            time_embedding_dim: f.optional_count("time_embedding_dim", None, MAX_EMBEDDING)?,
            flip_sin_to_cos: f.flag("flip_sin_to_cos", true)?,
            freq_shift: f.number("freq_shift", 0.0)?,
            num_class_embeds: f.optional_count("num_class_embeds", None, MAX_CLASSES)?,
        };
        f.refuse_unknown()?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as `diffusers` would write it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let resampling = |r| match r {
            Resampling::Conv => "conv",
            Resampling::Resnet => "resnet",
        };
        let names = |blocks: &[Block], name: fn(Block) -> &'static str| {
            blocks.iter().map(|&b| name(b)).collect::<Vec<_>>()
        };
        json!({
            "_class_name": "UNet2DModel",
            "sample_size": self.sample_size,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "block_out_channels": self.block_out_channels,
            "layers_per_block": self.layers_per_block,
            "down_block_types": names(&self.down_block_types, Block::down_name),
            "up_block_types": names(&self.up_block_types, Block::up_name),
            "downsample_type": resampling(self.downsample_type),
            "upsample_type": resampling(self.upsample_type),
            "downsample_padding": self.downsample_padding,
            "mid_block_type": self.mid_block.then_some("UNetMidBlock2D"),
            "add_attention": self.add_attention,
            "attention_head_dim": self.attention_head_dim,
            "norm_num_groups": self.norm_num_groups,
            "attn_norm_num_groups": self.attn_norm_num_groups,
            "norm_eps": self.norm_eps,
            "resnet_time_scale_shift": match self.resnet_time_scale_shift {
                TimeShift::Default => "default",
                TimeShift::ScaleShift => "scale_shift",
            },
            "time_embedding_dim": self.time_embedding_dim,
            "flip_sin_to_cos": self.flip_sin_to_cos,
            "freq_shift": self.freq_shift,
            "num_class_embeds": self.num_class_embeds,
        })
    }

    /// Number of resolutions.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Size of the time (and class) embedding.
    #[must_use]
    pub fn embedding(&self) -> usize {
        self.time_embedding_dim
            .unwrap_or(4 * self.block_out_channels[0])
    }

    /// Whether every field is in its range and the fields agree with each other. Reading a
    /// configuration ends with this; [`crate::build_graph`] calls it again, because the fields are public.
    ///
    /// Divisibility by the groups is for [`crate::build_graph`] to check, which knows all normalisations.
    ///
    /// # Errors
    /// The first field that is impossible.
    pub fn check(&self) -> Result<(), Error> {
        let range = |field: &str, value: usize, max: usize| {
            if (1..=max).contains(&value) {
                Ok(())
            } else {
                Err(Error::field(field, value, format!("1 to {max}")))
            }
        };
        let levels = self.levels();
        if !(1..=MAX_LEVELS).contains(&levels) {
            let value = json!(self.block_out_channels);
            return Err(Error::field(
                "block_out_channels",
                value,
                format!("1 to {MAX_LEVELS} values"),
            ));
        }
        for &c in &self.block_out_channels {
            range("block_out_channels", c, MAX_CHANNELS)?;
        }
        for (field, blocks) in [
            ("down_block_types", &self.down_block_types),
            ("up_block_types", &self.up_block_types),
        ] {
            if blocks.len() != levels {
                let expected =
                    format!("{levels} names, as `block_out_channels` has {levels} values");
                return Err(Error::field(
                    field,
                    format!("of length {}", blocks.len()),
                    expected,
                ));
            }
        }
        let step = 1 << (levels - 1);
        for side in self.sample_size {
            range("sample_size", side, MAX_SIDE)?;
            if side % step != 0 {
                let expected = format!("multiples of {step}, as there are {levels} resolutions");
                return Err(Error::field(
                    "sample_size",
                    json!(self.sample_size),
                    expected,
                ));
            }
        }
        range("in_channels", self.in_channels, MAX_CHANNELS)?;
        range("out_channels", self.out_channels, MAX_CHANNELS)?;
        range("layers_per_block", self.layers_per_block, MAX_LAYERS)?;
        range("norm_num_groups", self.norm_num_groups, MAX_CHANNELS)?;
        for (field, value, max) in [
            ("attention_head_dim", self.attention_head_dim, MAX_CHANNELS),
            (
                "attn_norm_num_groups",
                self.attn_norm_num_groups,
                MAX_CHANNELS,
            ),
            ("time_embedding_dim", self.time_embedding_dim, MAX_EMBEDDING),
            ("num_class_embeds", self.num_class_embeds, MAX_CLASSES),
        ] {
            value.map_or(Ok(()), |v| range(field, v, max))?;
        }
        if self.downsample_padding > 1 {
            return Err(Error::field(
                "downsample_padding",
                self.downsample_padding,
                "0 or 1",
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps <= 1.0) {
            return Err(Error::field(
                "norm_eps",
                self.norm_eps,
                "above 0, at most 1",
            ));
        }
        let frequencies = self.block_out_channels[0] / 2;
        if frequencies == 0 {
            let value = json!(self.block_out_channels);
            return Err(Error::field(
                "block_out_channels",
                value,
                "a first value of at least 2",
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 8192")]
        if !(self.freq_shift >= 0.0 && self.freq_shift < frequencies as f64) {
            let expected =
                format!("at least 0 and below {frequencies}, half of the first block's channels");
            return Err(Error::field("freq_shift", self.freq_shift, expected));
        }
        Ok(())
    }
}

impl TryFrom<Value> for UnetConfig {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        Self::from_value(&value)
    }
}

impl From<UnetConfig> for Value {
    fn from(config: UnetConfig) -> Value {
        config.to_value()
    }
}

/// Fields that have one supported meaning only, and fields that mean nothing for inference.
fn refuse_unsupported(f: &mut Fields) -> Result<(), Error> {
    f.one_of("_class_name", &[json!("UNet2DModel")], 0)?;
    f.one_of("center_input_sample", &[json!(false)], 0)?;
    f.one_of("time_embedding_type", &[json!("positional")], 0)?;
    f.one_of("class_embed_type", &[Value::Null], 0)?;
    if f.number("mid_block_scale_factor", 1.0)? != 1.0 {
        return Err(f.refused("mid_block_scale_factor", "1"));
    }
    if let Some(act) = f.take("act_fn") {
        let known = act.as_str().map(str::to_lowercase);
        if !matches!(known.as_deref(), Some("silu" | "swish")) {
            return Err(f.refused("act_fn", "\"silu\" or \"swish\""));
        }
    }
    // dropout is off at inference; the number of training steps matters to learned time embeddings only
    f.take("dropout");
    f.take("num_train_timesteps");
    Ok(())
}

fn blocks(
    f: &mut Fields,
    field: &str,
    name: fn(Block) -> &'static str,
    default: [usize; 4],
) -> Result<Vec<Block>, Error> {
    let Some(value) = f.take(field) else {
        return Ok(default.map(|i| Block::ALL[i]).to_vec());
    };
    let supported = Block::ALL.map(name).join(", ");
    let Value::Array(items) = value else {
        return Err(f.refused(field, format!("a list of {supported}")));
    };
    let find = |item: &Value| {
        let given = item.as_str()?;
        // `diffusers` strips this prefix of its oldest releases
        let given = given.strip_prefix("UNetRes").unwrap_or(given);
        Block::ALL.into_iter().find(|&b| name(b) == given)
    };
    items
        .iter()
        .take(MAX_LEVELS + 1)
        .map(|item| find(item).ok_or_else(|| Error::field(field, item, supported.clone())))
        .collect()
}

fn resampling(f: &mut Fields, field: &str) -> Result<Resampling, Error> {
    // null means "conv" to `get_down_block` and `get_up_block`
    Ok(
        match f.one_of(field, &[json!("conv"), json!("resnet"), Value::Null], 0)? {
            1 => Resampling::Resnet,
            _ => Resampling::Conv,
        },
    )
}
