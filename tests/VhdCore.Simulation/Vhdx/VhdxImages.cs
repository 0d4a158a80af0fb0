using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing.Crash;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;

namespace VhdCore.Simulation.Vhdx;

/// <summary>The images that a run begins with.</summary>
internal static class VhdxImages
{
    private const int Sector = SectorOracle.SectorSize;
    private const int NotPresent = 0;
    private const int Zero = 2;
    private const int Unmapped = 3;
    private const int FullyPresent = 6;
    private const int PartiallyPresent = 7;
    private const int StructureSpacing = 65536; // bytes between the two headers, and between the two copies of the region table
    private const int FirstHeader = 65536;
    private const int HeaderSize = 4096; // bytes
    private const int FirstRegionTable = 196608;
    private const int RegionTableSize = 65536; // bytes

    /// <summary>Makes a medium with them, durable.</summary>
    public static CrashWorld Create(VhdxPlan plan)
    {
        var world = new CrashWorld { IsExtensionOrdered = plan.IsExtensionOrdered, CanPunch = plan.CanPunch, ReadsAtOnce = plan.ReadsAtOnce, CompletesLate = plan.CompletesLate };
        var random = new Random(plan.Seed);
        string? parent = null;
        foreach (var name in Parents(plan).Reverse())
        {
            world.Add(name, Builder(plan, name, parent, random, version: name == VhdxPlan.Base ? -1 : -2).Build());
            parent = name;
        }

        if (plan.IsForeign)
        {
            world.Add(VhdxPlan.Leaf, Foreign(plan, parent, random));
        }
        else
        {
            CreateAsync(world, plan, parent).GetAwaiter().GetResult();
        }

        if (plan.HasDamagedHeader || plan.HasDamagedRegionTable)
        {
            var image = world.GetBytes(VhdxPlan.Leaf);
            Damage(image, FirstHeader, HeaderSize, plan.HasDamagedHeader, random);
            Damage(image, FirstRegionTable, RegionTableSize, plan.HasDamagedRegionTable, random);
            world.Add(VhdxPlan.Leaf, image);
        }

        return world;
    }

    /// <summary>Whether one of the headers, or one copy of the region table, is not valid.</summary>
    public static bool NeedsRepair(CrashWorld world) =>
        new[] { 0, StructureSpacing }.Any(at =>
            !IsSound(world, FirstHeader + at, HeaderSize, "head") || !IsSound(world, FirstRegionTable + at, RegionTableSize, "regi"));

    private static bool IsSound(CrashWorld world, int offset, int size, string signature)
    {
        byte[] structure = [.. world.PeekCells(VhdxPlan.Leaf, offset / Sector, size / Sector).SelectMany(cell => cell ?? new byte[Sector])];
        return PlainBytes.HasText(structure, 0, signature) && PlainVhdxBytes.Checksum(structure, 4) == PlainVhdxBytes.Number(structure, 4, 4);
    }

    /// <summary>Writes over some sectors of one of a pair of structures.</summary>
    private static void Damage(byte[] image, int first, int size, bool isToBe, Random random)
    {
        var at = first + (random.Next(2) * StructureSpacing);
        for (var i = random.Next(1, 4); isToBe && i > 0; i--)
        {
            image.AsSpan(at + (random.Next(size / Sector) * Sector), Sector).Fill((byte)random.Next(1, 256));
        }
    }

    /// <summary>The names of the parents, nearest first.</summary>
    public static string[] Parents(VhdxPlan plan) => plan.ParentCount switch { 0 => [], 1 => [VhdxPlan.Base], _ => [VhdxPlan.Middle, VhdxPlan.Base] };

    private static byte[] IdOf(string name) => PlainVhdxBytes.Identifier($"10000001-0002-0003-0405-{(int)name[1]:d12}");

    private static List<(string, string)> LocatorFor(string? parent) =>
        parent is null ? [] : [("parent_linkage", new Guid(IdOf(parent)).ToString("B")), ("relative_path", $".\\{parent[1..]}")];

    private static async Task CreateAsync(CrashWorld world, VhdxPlan plan, string? parent)
    {
        await using var storage = await world.OpenAsync(VhdxPlan.Leaf, StorageOpenOptions.ForCreating);
        await VhdxCreator.CreateAsync(
            storage,
            new VhdxCreateParameters
            {
                Kind = plan.IsFixed ? ImageKind.Fixed : parent is null ? ImageKind.Dynamic : ImageKind.Differencing,
                Size = plan.DiskSize,
                BlockSize = (uint)plan.BlockSize,
                LogicalSectorSize = plan.LogicalSectorSize,
                VirtualDiskId = Guid.NewGuid(),
                DataWriteGuid = Guid.NewGuid(),
                FileWriteGuid = Guid.NewGuid(),
                ParentLocator = [.. LocatorFor(parent).Select(pair => KeyValuePair.Create(pair.Item1, pair.Item2))],
            },
            default);
        await storage.RenameAsync(VhdxPlan.Leaf); // its name is durable from here on
    }

    private static PlainVhdxBuilder Builder(VhdxPlan plan, string name, string? parent, Random random, int version)
    {
        var builder = new PlainVhdxBuilder
        {
            DiskSize = plan.DiskSize,
            BlockSize = plan.BlockSize,
            SectorSize = plan.LogicalSectorSize,
            DataWriteId = IdOf(name),
            Locator = LocatorFor(parent),
        };
        foreach (var index in plan.Sites.Blocks)
        {
            builder.Blocks[index] = random.Next(plan.Shape == VhdxShape.Wide ? 24 : 6) switch
            {
                0 or 1 => new PlainVhdxBlock(FullyPresent, Content(plan, index, random, version)),
                2 => new PlainVhdxBlock(Zero),
                3 => new PlainVhdxBlock(Unmapped),
                4 when parent is not null => new PlainVhdxBlock(PartiallyPresent, Content(plan, index, random, version))
                {
                    HasSector = sector => (sector * 7919 % 5) < 2,
                },
                _ => new PlainVhdxBlock(NotPresent),
            };
        }

        return builder;
    }

    private static byte[] Content(VhdxPlan plan, int block, Random random, int version)
    {
        var content = Pattern.Create(block * plan.BlockSize, (int)plan.BlockSize, version);
        content.AsSpan(random.Next((int)plan.BlockSize / Sector) * Sector, Sector).Clear();
        return content;
    }

    /// <summary>An image with a past.</summary>
    private static byte[] Foreign(VhdxPlan plan, string? parent, Random random)
    {
        var builder = Builder(plan, VhdxPlan.Leaf, parent, random, version: -3);
        var image = builder.Build();
        foreach (var (index, block) in builder.Blocks)
        {
            // Given back, with and without keeping the place; what was there still is.
            if (block.Content is not null && random.Next(3) == 0)
            {
                var entry = PlainVhdxBytes.Number(image, builder.EntryOffset(index), 8);
                PlainVhdxBytes.Number(image, builder.EntryOffset(index), random.Next(2) == 0 ? (ulong)Zero : (entry & ~7UL) + Unmapped, 8);
            }
        }

        var bitmap = parent is null ? 0 : (long)(PlainVhdxBytes.Number(image, builder.BitmapEntryOffset(0), 8) & ~7UL);
        foreach (var index in plan.Sites.Blocks.Where(index => bitmap > 0 && index < plan.ChunkRatio && builder.Blocks[index].State != PartiallyPresent))
        {
            // Bits of an earlier life.
            var bytes = (int)(plan.BlockSize / plan.LogicalSectorSize / 8);
            Array.Fill(image, (byte)0xFF, (int)(bitmap + (index * (long)bytes)), bytes);
        }

        // Something behind the last block, off the MiB grid.
        image = [.. image, .. Pattern.Create(-Sector * 4096, random.Next(1, 700) * Sector, -4)];
        if (plan.HasDirtyLog)
        {
            AddLog(image, builder, random);
        }

        return image;
    }

    private static void AddLog(byte[] image, PlainVhdxBuilder builder, Random random)
    {
        var id = PlainVhdxBytes.Identifier("30000001-0002-0003-0405-060708090a0b");
        var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, builder.LogSize, id)
        {
            Head = random.Next(256) * 4096L,
            Sequence = (ulong)random.Next(1, 1000),
            Flushed = (ulong)image.Length / PlainVhdxBuilder.MiB * PlainVhdxBuilder.MiB,
            Last = (ulong)image.Length / PlainVhdxBuilder.MiB * PlainVhdxBuilder.MiB,
        };
        log.Tail = log.Head;
        foreach (var page in builder.Blocks.Keys.Select(index => builder.EntryOffset(index) & ~4095L).Distinct().ToList())
        {
            log.Add(log.Take(page, old: 0));
        }

        log.MarkDirty();
    }
}
