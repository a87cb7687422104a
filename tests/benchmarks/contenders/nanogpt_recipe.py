"""A loop with the settings of nanoGPT's published CPU recipe for characters: `python nanogpt_recipe.py TEXT STEPS`. Prints ms a step.

4 layers, width 128, 4 heads, 64 characters, batch 12, no biases, no dropout, AdamW 1e-3 (not fused, as that recipe leaves it off on a
processor), cosine to 1e-4 with 100 warm-up steps, clipped at 1.0, the loss looked at in every step, 20 batches of each split judged every
250 steps, windows sliced one by one from a map of the file that is opened anew for each batch. Ours, after its published settings.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

LAYERS, WIDTH, HEADS, LENGTH, BATCH = 4, 128, 4, 64, 12
RATE, FINAL_RATE, WARM_UP, DECAY_STEPS = 1e-3, 1e-4, 100, 2000
EVERY, JUDGED_BATCHES = 250, 20


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.attention_dropout, self.dropout = nn.Dropout(0.0), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (part.view(batch, length, HEADS, -1).transpose(1, 2) for part in self.qkv(x).split(WIDTH, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.dropout(self.out(y.transpose(1, 2).contiguous().view(batch, length, WIDTH)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.attention = Attention()
        up, down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(up, nn.GELU(), down, nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first_norm(x))
        return x + self.mlp(self.second_norm(x))


class Model(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.dropout, self.blocks = nn.Dropout(0.0), nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH, bias=False), nn.Linear(WIDTH, vocab_size, bias=False)
        self.tokens.weight = self.head.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                residual = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        x = self.dropout(self.tokens(ids) + self.positions(torch.arange(ids.shape[1])))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


def write_splits(text: Path, folder: Path) -> int:
    """Both splits as uint16 files. Returns: the size of the vocabulary."""
    characters = text.read_text(encoding="utf-8")
    ids = {character: number for number, character in enumerate(sorted(set(characters)))}
    data, cut = np.array([ids[character] for character in characters], dtype=np.uint16), int(0.9 * len(characters))
    data[:cut].tofile(folder / "train.bin")
    data[cut:].tofile(folder / "val.bin")
    return len(ids)


def batch_of(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    data = np.memmap(folder / f"{split}.bin", dtype=np.uint16, mode="r")
    starts = torch.randint(len(data) - LENGTH, (BATCH,))
    inputs = torch.stack([torch.from_numpy(data[i : i + LENGTH].astype(np.int64)) for i in starts])
    targets = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + LENGTH].astype(np.int64)) for i in starts])
    return inputs, targets


@torch.no_grad()
def judge(model: nn.Module, folder: Path) -> dict[str, float]:
    model.eval()
    found = {}
    for split in ("train", "val"):
        found[split] = float(np.mean([model(*batch_of(folder, split)).item() for _ in range(JUDGED_BATCHES)]))
    model.train()
    return found


def rate_of(step: int) -> float:
    if step < WARM_UP:
        return RATE * (step + 1) / (WARM_UP + 1)
    progress = min(1.0, (step - WARM_UP) / (DECAY_STEPS - WARM_UP))
    return FINAL_RATE + 0.5 * (1 + math.cos(math.pi * progress)) * (RATE - FINAL_RATE)


def main(text: Path, steps: int, folder: Path) -> None:
    model = Model(write_splits(text, folder))
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99))
    batch, seconds, losses = batch_of(folder, "train"), [], []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_of(step)
        if step % EVERY == 0:
            judged = judge(model, folder)
        began = time.perf_counter()
        loss = model(*batch)
        batch = batch_of(folder, "train")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    newest = seconds[len(seconds) // 3 :]
    print(f"step_ms {1e3 * sum(newest) / len(newest):.2f} train_loss {losses[-1]:.4f} val_loss {judged['val']:.4f}")


if __name__ == "__main__":
    torch.manual_seed(1337)
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1]), int(sys.argv[2]), Path(made))
