"""What other trackers have stored, as records. Each form is a module and a row of `forms.FORMS`."""
