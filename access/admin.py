"""Users and groups are not managed in the console."""

from django.contrib import admin
from django.contrib.auth.models import Group, User

for _model in (User, Group):
    # Their forms would change who may do what without a reason and without a record.
    admin.site.unregister(_model)
