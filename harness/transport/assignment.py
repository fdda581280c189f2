"""One-to-one alignments of two token clouds: as many pairs as the shorter sentence has tokens, each with equal mass.

They are couplings of total mass 1 whose marginals are met only where both sentences are equally long.

Shapes: B problems, N source tokens, M target tokens.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def greedy_assignment(cost_BNM: Tensor, source_mask_BN: Tensor, target_mask_BM: Tensor) -> Tensor:
    """The cheapest pair of tokens, then the cheapest of those left, until one side is used up (Dr.DECR).

    Of equal costs the first in reading order is taken. Costs must be finite.
    """
    num_pairs_B = torch.minimum(source_mask_BN.sum(dim=1), target_mask_BM.sum(dim=1))
    real_BNM = source_mask_BN[:, :, None].bool() & target_mask_BM[:, None].bool()
    open_BNM = cost_BNM.detach().masked_fill(~real_BNM, torch.inf)
    chosen_BNM = torch.zeros_like(open_BNM)
    row_BN = torch.arange(cost_BNM.shape[1], device=cost_BNM.device)
    column_BM = torch.arange(cost_BNM.shape[2], device=cost_BNM.device)
    for taken in range(int(num_pairs_B.max())):
        best_B = open_BNM.flatten(1).argmin(dim=1)
        in_row_BN = row_BN == (best_B // cost_BNM.shape[2])[:, None]
        in_column_BM = column_BM == (best_B % cost_BNM.shape[2])[:, None]
        unfinished_B = taken < num_pairs_B
        chosen_BNM += in_row_BN[:, :, None] & in_column_BM[:, None] & unfinished_B[:, None, None]
        open_BNM = open_BNM.masked_fill(in_row_BN[:, :, None] | in_column_BM[:, None], torch.inf)
    return chosen_BNM / num_pairs_B[:, None, None]


def exact_assignment(cost_BNM: Tensor, source_mask_BN: Tensor, target_mask_BM: Tensor) -> Tensor:
    """The one-to-one alignment of least total cost (scipy, on the CPU)."""
    chosen_BNM = torch.zeros_like(cost_BNM)
    costs = cost_BNM.detach().double().cpu().numpy()
    masks = (source_mask_BN.cpu().numpy().astype(bool), target_mask_BM.cpu().numpy().astype(bool))
    for place, (cost, rows, columns) in enumerate(zip(costs, *masks, strict=True)):
        row, column = linear_sum_assignment(cost[rows][:, columns])
        at = torch.from_numpy(rows.nonzero()[0][row]), torch.from_numpy(columns.nonzero()[0][column])
        chosen_BNM[place, at[0], at[1]] = 1.0 / len(row)
    return chosen_BNM
