#!/usr/bin/env bash
# Make a trained pipeline the model that the command ships with: its float source into models/, its
# quantised file into the binary's assets, the pictures of the README, and the hash that tests expect.
#
#   training/ship.sh runs/emoji32/pipeline models/emoji32
set -euo pipefail
cd "$(dirname "$0")/.."
from=$1 to=$2
mkdir -p "$to" docs/images
cp -r "$from/." "$to/"

cargo build --release
diffuser=target/release/diffuser
$diffuser quantize "$to" -o crates/cli/assets/default.safetensors
cargo build --release # with the new asset inside

grid="--seed 3 --count 27 --steps 50 --scheduler ddim --columns 9 --scale 2"
$diffuser generate $grid -o docs/images/integers.png
$diffuser generate $grid --model "$to" --float -o docs/images/float.png
$diffuser compare "$to" crates/cli/assets/default.safetensors --seed 3 --count 9 --columns 9 --scale 2 -o docs/images/compare.png
$diffuser generate --seed 3 --count 9 --columns 9 --scale 2 --steps 20 --scheduler ddim -o /dev/null --animate docs/images/denoising.png
UPDATE_GOLDEN=1 cargo test --release -p diffuser --test shipped
