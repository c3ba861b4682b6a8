// The one file that compiles this area's .ipp bodies.
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <mta/config/build_defaults.hpp>

#include <mta/config/parameter.ipp>

#include <mta/config/values.ipp>

#include <mta/config/main_cf.ipp>

#include <mta/config/expand.ipp>

#include <mta/config/networks.ipp>

#include <mta/config/file_snapshot.ipp>

#include <mta/config/typed_value.ipp>

#include <mta/config/setting_table.ipp>

#include <mta/config/configuration.ipp>

#include <mta/config/pieces.ipp>

#include <mta/config/ignored_parameters.ipp>

#include <mta/config/master.ipp>

#include <mta/config/service_table.ipp>

#include <mta/config/table_settings.ipp>

#include <mta/config/locate.ipp>

#include <mta/config/common_settings.ipp>

#include <mta/config/command_log.ipp>

#include <mta/config/edit.ipp>

#include <mta/config/file_edit.ipp>
