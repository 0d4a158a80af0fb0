namespace VhdCore.Vhd;

/// <summary>The stable names of findings. Each is explained in docs/check-findings.md, which a test compares with this list.</summary>
internal static class VhdFindingId
{
    public const string FooterNone = "VHD-FOOTER-NONE";
    public const string FooterChecksum = "VHD-FOOTER-CHECKSUM";
    public const string FooterEndMissing = "VHD-FOOTER-END-MISSING";
    public const string FooterCopyMissing = "VHD-FOOTER-COPY-MISSING";
    public const string FooterCopyChecksum = "VHD-FOOTER-COPY-CHECKSUM";
    public const string FooterCopyDiffers = "VHD-FOOTER-COPY-DIFFERS";
    public const string FooterCopyOtherDisk = "VHD-FOOTER-COPY-OTHER-DISK";
    public const string FooterInFixedData = "VHD-FOOTER-IN-FIXED-DATA";
    public const string FooterPoisoned = "VHD-FOOTER-POISONED";
    public const string FooterVersion = "VHD-FOOTER-VERSION";
    public const string FooterFeatures = "VHD-FOOTER-FEATURES";
    public const string FooterDiskType = "VHD-FOOTER-DISK-TYPE";
    public const string FooterEarlyTapdisk = "VHD-FOOTER-EARLY-TAPDISK";
    public const string FooterSavedState = "VHD-FOOTER-SAVED-STATE";
    public const string FooterHidden = "VHD-FOOTER-HIDDEN";
    public const string FooterDataOffset = "VHD-FOOTER-DATA-OFFSET";
    public const string FooterUniqueId = "VHD-FOOTER-UNIQUE-ID";
    public const string SizeInvalid = "VHD-SIZE-INVALID";
    public const string SizeNotSectors = "VHD-SIZE-NOT-SECTORS";
    public const string SizeDiffersByReader = "VHD-SIZE-DIFFERS-BY-READER";
    public const string SizeOverLimit = "VHD-SIZE-OVER-LIMIT";
    public const string FixedCutShort = "VHD-FIXED-CUT-SHORT";
    public const string FixedSlack = "VHD-FIXED-SLACK";
    public const string HeaderLocation = "VHD-HEADER-LOCATION";
    public const string HeaderCookie = "VHD-HEADER-COOKIE";
    public const string HeaderChecksum = "VHD-HEADER-CHECKSUM";
    public const string HeaderVersion = "VHD-HEADER-VERSION";
    public const string HeaderBlockSize = "VHD-HEADER-BLOCK-SIZE";
    public const string HeaderBlockSizeUnusual = "VHD-HEADER-BLOCK-SIZE-UNUSUAL";
    public const string HeaderTableTooSmall = "VHD-HEADER-TABLE-TOO-SMALL";
    public const string HeaderTableTooLarge = "VHD-HEADER-TABLE-TOO-LARGE";
    public const string HeaderTableLocation = "VHD-HEADER-TABLE-LOCATION";
    public const string HeaderTableUnaligned = "VHD-HEADER-TABLE-UNALIGNED";
    public const string ParentUnexpected = "VHD-PARENT-UNEXPECTED";
    public const string ParentUnnamed = "VHD-PARENT-UNNAMED";
    public const string ParentLocatorUnreadable = "VHD-PARENT-LOCATOR-UNREADABLE";
    public const string ParentLocatorUnknown = "VHD-PARENT-LOCATOR-UNKNOWN";
    public const string ParentRaw = "VHD-PARENT-RAW";
    public const string BatmapMissing = "VHD-BATMAP-MISSING";
    public const string BatmapStale = "VHD-BATMAP-STALE";
    public const string BatmapVersion = "VHD-BATMAP-VERSION";
    public const string BatmapLocation = "VHD-BATMAP-LOCATION";
    public const string BatmapKeyHash = "VHD-BATMAP-KEY-HASH";
    public const string BatmapChecksum = "VHD-BATMAP-CHECKSUM";
    public const string BatmapLeads = "VHD-BATMAP-LEADS";
    public const string BatBeyondEnd = "VHD-BAT-BEYOND-END";
    public const string BatInMetadata = "VHD-BAT-IN-METADATA";
    public const string BatOverlap = "VHD-BAT-OVERLAP";
    public const string BatCutShort = "VHD-BAT-CUT-SHORT";
    public const string BatOverAuxiliary = "VHD-BAT-OVER-AUXILIARY";
    public const string BatExtraEntries = "VHD-BAT-EXTRA-ENTRIES";
    public const string BitmapClearWithData = "VHD-BITMAP-CLEAR-WITH-DATA";
    public const string Leak = "VHD-LEAK";
}
