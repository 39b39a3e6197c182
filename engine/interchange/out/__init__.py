"""Studies in the forms of other programs. Each form is a module and a row of `forms.FORMS`."""
