"""Second-order training beside its peers, and Levenberg-Marquardt on many samples."""
