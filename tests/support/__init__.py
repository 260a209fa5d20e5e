"""What tests share: servers, clocks, processes, comparisons."""
