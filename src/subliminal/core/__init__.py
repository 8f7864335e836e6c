"""What every package uses: errors as sentences, whole files, manifests, processes, the Hub. Imports nothing of ours."""
