"""What no watch brings, asked beside the passes at a pace that the cluster can bear."""
