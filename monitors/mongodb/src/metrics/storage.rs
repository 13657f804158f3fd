//! What the storage probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    FS_USED = MetricSpec::gauge(
        "mongodb.fs.used_bytes", "bytes", "Disk used",
        "Bytes used on the volume of dbPath, by whomever (dbStats.fsUsedSize)").resolution(1.0);
    FS_TOTAL = MetricSpec::gauge(
        "mongodb.fs.total_bytes", "bytes", "Disk", "Size of the volume of dbPath (dbStats.fsTotalSize)").resolution(1.0);
    FS_RATIO = MetricSpec::gauge(
        "mongodb.fs.used_ratio", "ratio", "Disk used", "Share of the volume of dbPath that is used").resolution(0.0001)
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.02));
    FS_GROWTH = MetricSpec::gauge(
        "mongodb.fs.growth_per_day_bytes", "bytes", "Disk growth a day",
        "Growth of what is used on the volume a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)")
        .resolution(1.0);
    FS_FULL_IN = MetricSpec::gauge(
        "mongodb.fs.full_in_days", "days", "Disk full in", "Days until the volume is full at the present growth")
        .resolution(0.001)
        .threshold(Threshold::below(Some(7.0), Some(1.0)).hysteresis(0.2).checks(2));
    TOTAL = MetricSpec::gauge(
        "mongodb.data.size_bytes", "bytes", "Size of all databases",
        "Sum of the sizes of all databases on disk, local with the oplog included").resolution(1.0);
    TOTAL_GROWTH = MetricSpec::gauge(
        "mongodb.data.growth_per_day_bytes", "bytes", "Growth of all databases a day",
        "Growth of all databases a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)").resolution(1.0);
    TOTAL_FULL_IN = MetricSpec::gauge(
        "mongodb.data.full_in_days", "days", "Quota reached in",
        "Days until all databases together reach quota_bytes at the present growth").resolution(0.001)
        .threshold(Threshold::below(Some(7.0), Some(1.0)).hysteresis(0.2).checks(2));
    QUOTA_USED = MetricSpec::gauge(
        "mongodb.data.quota_used_ratio", "ratio", "Quota used", "Size of all databases ÷ quota_bytes").resolution(0.0001)
        .threshold(Threshold::above(Some(0.85), Some(0.95)).hysteresis(0.02));
    DATABASE_SIZE = MetricSpec::gauge(
        "mongodb.database.size_bytes", "bytes", "Database size",
        "Data and indexes of each database on disk, compressed (dbStats.storageSize + indexSize)").resolution(1.0);
    DATABASE_GROWTH = MetricSpec::gauge(
        "mongodb.database.growth_per_day_bytes", "bytes", "Database growth a day",
        "Growth of each database a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)").resolution(1.0);
    DATABASE_DATA = MetricSpec::gauge(
        "mongodb.database.data_bytes", "bytes", "Data", "Documents of each database, not compressed (dbStats.dataSize)")
        .resolution(1.0);
    DATABASE_STORAGE = MetricSpec::gauge(
        "mongodb.database.storage_bytes", "bytes", "Data on disk", "Data files of each database (dbStats.storageSize)")
        .resolution(1.0);
    DATABASE_INDEX = MetricSpec::gauge(
        "mongodb.database.index_bytes", "bytes", "Indexes on disk", "Index files of each database (dbStats.indexSize)")
        .resolution(1.0);
    DATABASE_FREE = MetricSpec::gauge(
        "mongodb.database.free_bytes", "bytes", "Free within files",
        "Room within the files of each database that new documents will use (totalFreeStorageSize); only with `free_storage`")
        .resolution(1.0);
    DATABASE_OBJECTS = MetricSpec::gauge(
        "mongodb.database.objects_count", "count", "Documents",
        "Documents of each database by the server's counters, which may be wrong after a crash").resolution(1.0);
    DATABASE_COLLECTIONS = MetricSpec::gauge(
        "mongodb.database.collections_count", "count", "Collections", "Collections of each database").resolution(1.0);
    DATABASES_OMITTED = MetricSpec::gauge(
        "mongodb.databases.omitted_count", "count", "Databases not measured", "Databases beyond the 100 that are measured")
        .resolution(1.0);
    COLLECTION_SIZE = MetricSpec::gauge(
        "mongodb.collection.size_bytes", "bytes", "Collection size",
        "Data and indexes of the largest collections on disk, compressed").resolution(1.0);
    COLLECTION_GROWTH = MetricSpec::gauge(
        "mongodb.collection.growth_per_day_bytes", "bytes", "Collection growth a day",
        "Growth of the largest collections a day over the last 24 hours, 7 days and 30 days (Theil–Sen slope)")
        .resolution(1.0);
    COLLECTION_DATA = MetricSpec::gauge(
        "mongodb.collection.data_bytes", "bytes", "Documents", "Documents of the largest collections, not compressed")
        .resolution(1.0);
    COLLECTION_STORAGE = MetricSpec::gauge(
        "mongodb.collection.storage_bytes", "bytes", "Data on disk", "Data files of the largest collections").resolution(1.0);
    COLLECTION_INDEX = MetricSpec::gauge(
        "mongodb.collection.index_bytes", "bytes", "Indexes on disk", "Index files of the largest collections")
        .resolution(1.0);
    COLLECTION_FREE = MetricSpec::gauge(
        "mongodb.collection.free_bytes", "bytes", "Free within files",
        "Room within the data files of the largest collections that new documents will use (freeStorageSize)").resolution(1.0);
    COLLECTION_DOCUMENTS = MetricSpec::gauge(
        "mongodb.collection.documents_count", "count", "Documents",
        "Documents of the largest collections by the server's counters, which may be wrong after a crash; buckets of \
         time-series collections").resolution(1.0);
    INDEX_SIZE = MetricSpec::gauge(
        "mongodb.index.size_bytes", "bytes", "Index size", "The 10 largest indexes of each of the largest collections")
        .resolution(1.0);
    COLLECTIONS_OMITTED = MetricSpec::gauge(
        "mongodb.collections.omitted_count", "count", "Collections not listed",
        "Collections that are not among the largest, or beyond the 2,000 that are looked at").resolution(1.0);
}
