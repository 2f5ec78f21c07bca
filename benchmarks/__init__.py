"""Speed, costs and accuracy of thalweg beside its peers; ``python -m benchmarks`` measures."""
