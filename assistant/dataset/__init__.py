"""From holes to training examples: selection, split, deduplication, inspection, export."""
