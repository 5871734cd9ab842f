"""The reports that a `wirecase.model.Diagnosis` is drawn as, one file each."""
