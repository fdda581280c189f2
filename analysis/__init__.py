"""What the runs mean: read a study's runs, estimate its effect, fit laws over size, draw and report."""
