namespace VhdService.Storvsp.Wire;

/// <summary>The first field of a packet.</summary>
internal enum VstorOperation : uint
{
    CompleteIo = 1,
    RemoveDevice = 2,
    ExecuteSrb = 3,
    ResetLun = 4,
    ResetAdapter = 5,
    ResetBus = 6,
    BeginInitialization = 7,
    EndInitialization = 8,
    QueryProtocolVersion = 9,
    QueryProperties = 10,
    EnumerateBus = 11,
    FcHbaData = 12,
    CreateSubChannels = 13,
}

/// <summary>The status of a packet, an NTSTATUS.</summary>
internal enum VstorStatus : uint
{
    Success = 0,
    InvalidParameter = 0xC000000D,
    InvalidDeviceRequest = 0xC0000010,
    RevisionMismatch = 0xC0000059,
    InvalidDeviceState = 0xC0000184,
    IoDeviceError = 0xC0000185,
    NoSuchDevice = 0xC00000C0,
}

/// <summary>How a SCSI request block ended; bit 7 says that there is sense.</summary>
[Flags]
internal enum SrbStatus : byte
{
    Success = 0x01,
    Aborted = 0x02,
    Error = 0x04,
    InvalidRequest = 0x06,
    DataOverrun = 0x12,
    InvalidLun = 0x20,
    SenseIsValid = 0x80,
}
